"""Makes the tiny random-weight model that the recordings come from (Qwen2, byte-level BPE, no download), and a LoRA adapter: `make_model.py FOLDER`."""
import json
import os
import random
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM, PreTrainedTokenizerFast
out, lora = os.path.join(sys.argv[1], 'tiny'), os.path.join(sys.argv[1], 'lora')
random.seed(1)
torch.manual_seed(1)
words = 'the a of and to in is router model token prefix cache worker engine queue stream city weather Paris Tokyo name value true false null'.split()
text = [' '.join(random.choice(words) for _ in range(40)) for _ in range(400)]
text += [json.dumps({'name': random.choice(words), 'arguments': {'city': random.choice(words), 'n': random.randint(0, 99)}}) for _ in range(400)]
tok = Tokenizer(models.BPE())
tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tok.decoder = decoders.ByteLevel()
special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<tool_call>', '</tool_call>']
tok.train_from_iterator(text, trainers.BpeTrainer(vocab_size=1024, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
fast = PreTrainedTokenizerFast(tokenizer_object=tok, eos_token='<|im_end|>', pad_token='<|endoftext|>')
fast.chat_template = ("{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
fast.save_pretrained(out)
n = len(fast)
cfg = Qwen2Config(vocab_size=n, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
  max_position_embeddings=2048, tie_word_embeddings=False, initializer_range=0.6, eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id)
m = Qwen2ForCausalLM(cfg).to(torch.float32)
m.generation_config.eos_token_id = fast.eos_token_id
m.save_pretrained(out)
print('vocabulary', n)
# A LoRA adapter for it, served as `style`.
os.makedirs(lora, exist_ok=True)
weights = {}
for layer in range(2):
    for name in ('q_proj', 'v_proj'):
        stem = f'base_model.model.model.layers.{layer}.self_attn.{name}'
        weights[f'{stem}.lora_A.weight'] = torch.randn(8, 64)
        weights[f'{stem}.lora_B.weight'] = torch.randn(64, 8)
save_file(weights, os.path.join(lora, 'adapter_model.safetensors'))
with open(os.path.join(lora, 'adapter_config.json'), 'w') as file:
    json.dump({'peft_type': 'LORA', 'task_type': 'CAUSAL_LM', 'r': 8, 'lora_alpha': 16, 'target_modules': ['q_proj', 'v_proj'],
               'base_model_name_or_path': 'tiny', 'bias': 'none'}, file)
