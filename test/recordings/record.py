"""Records what a real vLLM says on the wire, one JSON file a case:
`python record.py URL FOLDER generate [KV_EVENTS_ENDPOINT]`, `… pooling`, or `… transfer DECODE_URL`.

Bodies are kept as the text that was sent and received; streamed bodies as one text per HTTP chunk, in order.
Only the standard library is used, so that nothing decodes, merges or retries behind our back (pyzmq for KV events only).
"""
import json
import os
import re
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

URL, FOLDER = urlsplit(sys.argv[1]), sys.argv[2]
MODEL = 'tiny'
TOOL = {'type': 'function', 'function': {'name': 'get_weather', 'strict': True, 'description': 'Weather of a city', 'parameters': {
    'type': 'object', 'properties': {'city': {'type': 'string', 'enum': ['Paris', 'Tokyo']}, 'days': {'type': 'integer', 'enum': [1, 2]}},
    'required': ['city', 'days'], 'additionalProperties': False}}}
NAMED = {'type': 'function', 'function': {'name': 'get_weather'}}
SCHEMA = {'type': 'json_schema', 'json_schema': {'name': 'answer', 'strict': True, 'schema': {
    'type': 'object', 'properties': {'city': {'type': 'string', 'enum': ['Paris', 'Tokyo']}, 'warm': {'type': 'boolean'}},
    'required': ['city', 'warm'], 'additionalProperties': False}}}
# What would tell on the machine that recorded: its name, folders and addresses.
SCRUB = [(rf'\b{re.escape(socket.gethostname())}\b', 'engine'), (r'(/(?:tmp|root|home|work|opt|usr|var)(?:/[\w.+~-]+)+)', '/path'),
         (r'\b(?:10|172|192)\.\d+\.\d+\.\d+\b', '127.0.0.1')]


def scrub(text):
    for pattern, replacement in SCRUB:
        text = re.sub(pattern, replacement, text, flags=re.S)
    return text


def without_machine(body):
    """`/server_info` also tells everything about the machine; that part goes."""
    if '"system_env":' not in body:
        return body
    return json.dumps({**json.loads(body), 'system_env': {}}, separators=(',', ':'))


class Reply:
    """One HTTP/1.1 exchange, read by hand so that chunk borders stay visible."""

    def __init__(self, method, path, headers, body, url=URL):
        self.socket = socket.create_connection((url.hostname, url.port), timeout=120)
        lines = [f'{method} {path} HTTP/1.1', f'host: {url.netloc}', 'connection: close']
        lines += [f'{name}: {value}' for name, value in headers.items()]
        if body is not None:
            lines.append(f'content-length: {len(body.encode())}')
        self.socket.sendall('\r\n'.join(lines).encode() + b'\r\n\r\n' + (body or '').encode())
        self.file = self.socket.makefile('rb')
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().strip()):
            name, value = line.decode('latin-1').split(': ', 1)
            self.headers[name] = value
        self.headers.pop('date', None)

    def chunks(self):
        while (size := int(self.file.readline().strip() or b'0', 16)):
            yield self.file.read(size).decode()
            self.file.readline()

    def close(self):
        self.file.close()
        self.socket.close()


def save(name, record):
    text = scrub(json.dumps({'name': name, **record}, indent=1, ensure_ascii=False))
    json.loads(text)
    with open(os.path.join(FOLDER, f'{name}.json'), 'w') as file:
        file.write(text + '\n')


def record(name, method, path, body=None, headers=None, stop_after=None, url=URL):
    """Sends one request and saves what came; returns the parsed JSON body where there is one."""
    headers = dict(headers or ({'content-type': 'application/json'} if body is not None else {}))
    sent = body if body is None or isinstance(body, str) else json.dumps(body)
    reply = Reply(method, path, headers, sent, url)
    kept = {'request': {'method': method, 'path': path, 'headers': headers, 'body': sent}, 'status': reply.status, 'headers': reply.headers}
    if reply.headers.get('transfer-encoding') == 'chunked':
        kept['chunks'] = []
        for chunk in reply.chunks():
            kept['chunks'].append(chunk)
            if len(kept['chunks']) == stop_after:
                break
    else:
        kept['body'] = without_machine(reply.file.read().decode())
    reply.close()
    if stop_after:
        kept['aborted_after_chunks'] = stop_after
        kept['ms_until_no_request_runs'] = until_idle()
    save(name, kept)
    print(f'{reply.status} {name}')
    try:
        return json.loads(kept.get('body', ''))
    except ValueError:
        return {'chunks': kept.get('chunks', [])}


def until_idle():
    began = time.monotonic()
    while time.monotonic() - began < 10:
        reply = Reply('GET', '/metrics', {}, None)
        text = ''.join(reply.chunks()) if reply.headers.get('transfer-encoding') else reply.file.read().decode()
        reply.close()
        if re.search(r'^vllm:num_requests_running\{.*\} 0\.0$', text, re.M):
            return round((time.monotonic() - began) * 1000)
    return None


def chat(content='Hello router', **more):
    return {'model': MODEL, 'messages': [{'role': 'user', 'content': content}], 'temperature': 0, 'max_tokens': 8, **more}


def completion(prompt='Hello router', **more):
    return {'model': MODEL, 'prompt': prompt, 'temperature': 0, 'max_tokens': 8, **more}


def chats():
    path = '/v1/chat/completions'
    record('chat', 'POST', path, chat())
    record('chat-n2', 'POST', path, chat(n=2, temperature=1, seed=1))
    record('chat-logprobs', 'POST', path, chat(logprobs=True, top_logprobs=2, max_tokens=3))
    record('chat-max-completion-tokens', 'POST', path, chat(max_tokens=None, max_completion_tokens=2))
    first = record('chat-stop-source', 'POST', path, chat(max_tokens=12, ignore_eos=True))['choices'][0]['message']['content']
    os.unlink(os.path.join(FOLDER, 'chat-stop-source.json'))
    record('chat-stop', 'POST', path, chat(max_tokens=12, ignore_eos=True, stop=[first[-2:]]))
    record('chat-return-token-ids', 'POST', path, chat(return_token_ids=True, max_tokens=3))
    record('chat-system-and-parts', 'POST', path, {**chat(), 'messages': [{'role': 'system', 'content': 'Be brief'}, {'role': 'user', 'content': [{'type': 'text', 'text': 'Hello'}]}]})
    record('chat-cached-prompt-1', 'POST', path, chat('the router ' * 60, max_tokens=2))
    record('chat-cached-prompt-2', 'POST', path, chat('the router ' * 60, max_tokens=2))
    record('chat-stream', 'POST', path, chat(stream=True))
    record('chat-stream-usage', 'POST', path, chat(stream=True, stream_options={'include_usage': True}))
    record('chat-stream-continuous-usage', 'POST', path, chat(stream=True, max_tokens=4, stream_options={'include_usage': True, 'continuous_usage_stats': True}))
    record('chat-stream-n2', 'POST', path, chat(stream=True, n=2, temperature=1, seed=1, max_tokens=3))
    record('chat-stream-logprobs', 'POST', path, chat(stream=True, logprobs=True, top_logprobs=1, max_tokens=3))
    record('chat-stream-one-token', 'POST', path, chat(stream=True, max_tokens=1))
    record('chat-tool-named', 'POST', path, chat(tools=[TOOL], tool_choice=NAMED, max_tokens=200))
    record('chat-tool-required', 'POST', path, chat(tools=[TOOL], tool_choice='required', max_tokens=200))
    record('chat-tool-auto', 'POST', path, chat(tools=[TOOL], tool_choice='auto'))
    record('chat-tool-named-stream', 'POST', path, chat(tools=[TOOL], tool_choice=NAMED, max_tokens=200, stream=True))
    record('chat-tool-required-stream', 'POST', path, chat(tools=[TOOL], tool_choice='required', max_tokens=200, stream=True))
    record('chat-json-schema', 'POST', path, chat(response_format=SCHEMA, max_tokens=60))
    record('chat-json-schema-stream', 'POST', path, chat(response_format=SCHEMA, max_tokens=60, stream=True))


def completions():
    path = '/v1/completions'
    record('completion', 'POST', path, completion())
    record('completion-list', 'POST', path, completion(['Hello', 'the router']))
    record('completion-token-ids', 'POST', path, completion([5, 6, 7, 300]))
    record('completion-token-id-lists', 'POST', path, completion([[5, 6, 7], [8, 9]]))
    record('completion-echo-logprobs', 'POST', path, completion(echo=True, logprobs=1, max_tokens=2))
    record('completion-n2', 'POST', path, completion(n=2, temperature=1, seed=1, max_tokens=3))
    record('completion-stream', 'POST', path, completion(stream=True))
    record('completion-stream-usage', 'POST', path, completion(stream=True, stream_options={'include_usage': True}))
    record('completion-stream-list', 'POST', path, completion(['Hello', 'the router'], stream=True, max_tokens=2))


def responses():
    path = '/v1/responses'
    ask = {'model': MODEL, 'input': 'Hello router', 'temperature': 0, 'max_output_tokens': 8}
    made = record('response', 'POST', path, ask)
    record('response-stream', 'POST', path, {**ask, 'stream': True})
    record('response-get', 'GET', f'{path}/{made.get("id")}')
    record('response-previous', 'POST', path, {**ask, 'previous_response_id': made.get('id')})
    record('response-previous-unknown', 'POST', path, {**ask, 'previous_response_id': 'resp_nope'})
    record('response-get-unknown', 'GET', f'{path}/resp_nope')
    record('response-cancel-unknown', 'POST', f'{path}/resp_nope/cancel')
    late = record('response-background', 'POST', path, {**ask, 'background': True, 'store': True, 'max_output_tokens': 1500})
    record('response-cancel', 'POST', f'{path}/{late.get("id")}/cancel')


def messages():
    ask = {'model': MODEL, 'messages': [{'role': 'user', 'content': 'Hello router'}], 'max_tokens': 8, 'temperature': 0}
    record('messages', 'POST', '/v1/messages', ask)
    record('messages-stream', 'POST', '/v1/messages', {**ask, 'stream': True})
    record('messages-count-tokens', 'POST', '/v1/messages/count_tokens', ask)
    record('messages-unknown-model', 'POST', '/v1/messages', {**ask, 'model': 'nope'})


def others():
    record('models', 'GET', '/v1/models')
    record('model-by-name', 'GET', '/v1/models/tiny')
    record('health', 'GET', '/health')
    record('version', 'GET', '/version')
    record('load', 'GET', '/load')
    record('ping-get', 'GET', '/ping')
    record('ping-post', 'POST', '/ping')
    record('tokenize', 'POST', '/tokenize', {'model': MODEL, 'prompt': 'Hello router'})
    record('tokenize-chat', 'POST', '/tokenize', {'model': MODEL, 'messages': [{'role': 'user', 'content': 'Hello'}], 'return_token_strs': True})
    record('detokenize', 'POST', '/detokenize', {'model': MODEL, 'tokens': [300, 301, 302]})
    record('embeddings-on-generate', 'POST', '/v1/embeddings', {'model': MODEL, 'input': 'Hello'})
    record('score-on-generate', 'POST', '/score', {'model': MODEL, 'text_1': 'a', 'text_2': 'b'})
    record('rerank-on-generate', 'POST', '/rerank', {'model': MODEL, 'query': 'a', 'documents': ['b']})
    form = '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\ntiny\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n--x--\r\n'
    for kind in ('transcriptions', 'translations'):
        record(f'audio-{kind}-on-generate', 'POST', f'/v1/audio/{kind}', form, {'content-type': 'multipart/form-data; boundary=x'})
    record('inference-v1-generate', 'POST', '/inference/v1/generate', {'model': MODEL, 'token_ids': [5, 6, 7], 'sampling_params': {'max_tokens': 2, 'temperature': 0}})
    record('openapi', 'GET', '/openapi.json')
    paths = json.loads(json.load(open(os.path.join(FOLDER, 'openapi.json')))['body'])['paths']
    with open(os.path.join(FOLDER, 'openapi.json'), 'w') as file:
        json.dump({'name': 'openapi', 'note': 'paths and verbs only', 'paths': {path: sorted(verbs) for path, verbs in paths.items()}}, file, indent=1)


def development():
    record('server-info', 'GET', '/server_info')
    record('server-info-json', 'GET', '/server_info?config_format=json')
    record('reset-prefix-cache', 'POST', '/reset_prefix_cache')
    record('is-sleeping', 'GET', '/is_sleeping')
    record('is-paused', 'GET', '/is_paused')
    record('pause', 'POST', '/pause')
    record('health-while-paused', 'GET', '/health')
    record('resume', 'POST', '/resume')
    record('sleep-not-enabled', 'POST', '/sleep?level=1')
    record('wake-up', 'POST', '/wake_up')


def adapters():
    """LoRA: one adapter named `style` is served from the start; the rest is loaded and unloaded while it runs."""
    record('lora-chat', 'POST', '/v1/chat/completions', chat(model='style'))
    record('lora-load-missing', 'POST', '/v1/load_lora_adapter', {'lora_name': 'a', 'lora_path': '/models/none'})
    record('lora-load', 'POST', '/v1/load_lora_adapter', {'lora_name': 'second', 'lora_path': './lora'})
    record('lora-load-again', 'POST', '/v1/load_lora_adapter', {'lora_name': 'second', 'lora_path': './lora'})
    record('lora-models', 'GET', '/v1/models')
    record('lora-unload', 'POST', '/v1/unload_lora_adapter', {'lora_name': 'second'})
    record('lora-unload-unknown', 'POST', '/v1/unload_lora_adapter', {'lora_name': 'second'})


def pooling():
    """For an engine that embeds (`--runner pooling`) in place of one that generates."""
    record('embeddings', 'POST', '/v1/embeddings', {'model': MODEL, 'input': 'Hello router'})
    record('embeddings-list', 'POST', '/v1/embeddings', {'model': MODEL, 'input': ['Hello', 'the router']})
    record('embeddings-base64', 'POST', '/v1/embeddings', {'model': MODEL, 'input': 'Hello router', 'encoding_format': 'base64'})
    record('embeddings-token-ids', 'POST', '/v1/embeddings', {'model': MODEL, 'input': [5, 6, 7]})
    record('embeddings-too-long', 'POST', '/v1/embeddings', {'model': MODEL, 'input': 'the router ' * 2500})
    record('embeddings-unknown-model', 'POST', '/v1/embeddings', {'model': 'nope', 'input': 'a'})
    record('pooling', 'POST', '/pooling', {'model': MODEL, 'input': 'Hello'})
    record('score', 'POST', '/score', {'model': MODEL, 'text_1': 'Hello', 'text_2': ['the router', 'Hello']})
    record('score-v1', 'POST', '/v1/score', {'model': MODEL, 'text_1': 'Hello', 'text_2': 'the router'})
    record('rerank', 'POST', '/rerank', {'model': MODEL, 'query': 'Hello', 'documents': ['the router', 'Hello'], 'top_n': 1})
    record('rerank-v1', 'POST', '/v1/rerank', {'model': MODEL, 'query': 'Hello', 'documents': ['the router', 'Hello']})
    record('rerank-v2', 'POST', '/v2/rerank', {'model': MODEL, 'query': 'Hello', 'documents': ['the router', 'Hello']})
    record('classify-on-embed', 'POST', '/classify', {'model': MODEL, 'input': 'Hello'})
    record('chat-on-pooling', 'POST', '/v1/chat/completions', chat())
    record('pooling-metrics', 'GET', '/metrics')


def transfer():
    """Prefill here, decode there: what the first says is handed whole to the second."""
    decode = urlsplit(sys.argv[4])
    prefill = {'do_remote_decode': True, 'do_remote_prefill': False, 'remote_engine_id': None, 'remote_block_ids': None, 'remote_host': None, 'remote_port': None}
    asks = (('completion', '/v1/completions', completion('the router streams ' * 40)), ('chat', '/v1/chat/completions', chat('the token stream ' * 40)))
    for name, path, ask in asks:
        reply = record(f'{name}-prefill', 'POST', path, {**ask, 'max_tokens': 1, 'kv_transfer_params': prefill})
        hand_over = {**ask, 'kv_transfer_params': reply['kv_transfer_params']}
        record(f'{name}-decode', 'POST', path, hand_over, url=decode)
        record(f'{name}-alone', 'POST', path, ask)
    reply = record('stream-prefill', 'POST', path, {**ask, 'max_tokens': 1, 'kv_transfer_params': prefill})
    record('stream-decode', 'POST', path, {**ask, 'stream': True, 'kv_transfer_params': reply['kv_transfer_params']}, url=decode)


def errors():
    path = '/v1/chat/completions'
    record('unknown-route', 'GET', '/v1/nope')
    record('wrong-verb', 'GET', path)
    record('bad-json', 'POST', path, '{"model": "tiny", "messages": [')
    record('empty-body', 'POST', path, '', {'content-type': 'application/json'})
    record('wrong-content-type', 'POST', path, chat(), {'content-type': 'text/plain'})
    record('missing-messages', 'POST', path, {'model': MODEL})
    record('missing-model', 'POST', path, {key: value for key, value in chat().items() if key != 'model'})
    record('unknown-model', 'POST', path, chat(model='nope'))
    record('unknown-model-stream', 'POST', path, chat(model='nope', stream=True))
    record('unknown-model-completion', 'POST', '/v1/completions', completion(model='nope'))
    record('unknown-fields', 'POST', path, chat(made_up=1, nvext={'a': 1}))
    record('bad-value', 'POST', path, chat(temperature=-1))
    record('stream-options-without-stream', 'POST', path, chat(stream_options={'include_usage': True}))
    record('prompt-too-long', 'POST', path, chat('the router ' * 2500))
    record('prompt-too-long-stream', 'POST', path, chat('the router ' * 2500, stream=True))
    record('max-tokens-too-large', 'POST', path, chat(max_tokens=100000))
    record('empty-messages', 'POST', path, chat() | {'messages': []})
    record('token-id-out-of-range', 'POST', '/v1/completions', completion([999999]))
    record('request-id', 'POST', path, chat(max_tokens=1), {'content-type': 'application/json', 'x-request-id': 'my-id-1'})
    record('stream-abort', 'POST', path, chat(stream=True, max_tokens=1900, ignore_eos=True), stop_after=5)
    record('metrics', 'GET', '/metrics')


def listen(endpoint, frames, stop):
    import zmq
    subscriber = zmq.Context.instance().socket(zmq.SUB)
    subscriber.connect(endpoint)
    subscriber.setsockopt(zmq.SUBSCRIBE, b'')
    while not stop.is_set():
        if subscriber.poll(100):
            frames.append([part.hex() for part in subscriber.recv_multipart()])


def main():
    os.makedirs(FOLDER, exist_ok=True)
    frames, stop = [], threading.Event()
    if sys.argv[3] == 'generate' and len(sys.argv) > 4:
        threading.Thread(target=listen, args=(sys.argv[4], frames, stop), daemon=True).start()
        time.sleep(1)
    generate = (chats, completions, responses, messages, others, errors, adapters, development)
    for group in {'generate': generate, 'pooling': (pooling,), 'transfer': (transfer,)}[sys.argv[3]]:
        group()
    time.sleep(1)
    stop.set()
    if frames:
        save('kv-events', {'note': 'ZMQ multipart frames as hex: topic, sequence, msgpack', 'frames': frames[:60]})


main()
