// vLLM: its routes and its way to refuse.
import * as admin from './admin.ts'
import { chatCompletions } from './chat.ts'
import { textCompletions } from './completions.ts'
import { json } from './exchange.ts'
import { vllmMetrics } from './metrics.ts'
import type { Profile } from './routes.ts'
import { VLLM_VERSION, vllmWording } from './vllm-wording.ts'

export const vllm: Profile = {
  wording: vllmWording,
  statusOf: (refusal) => refusal.status,
  routes: {
    'POST /v1/chat/completions': chatCompletions(vllmWording),
    'POST /v1/completions': textCompletions(vllmWording),
    'GET /v1/models': admin.models,
    'POST /tokenize': admin.tokenize,
    'POST /detokenize': admin.detokenize,
    'GET /health': admin.ok,
    'GET /ping': admin.ok,
    'POST /ping': admin.ok,
    'GET /version': () => json({ version: VLLM_VERSION }),
    'GET /metrics': vllmMetrics,
    'GET /load': admin.vllmLoad,
    'GET /server_info': admin.vllmServerInfo,
    'POST /reset_prefix_cache': admin.resetPrefixCache,
    'POST /sleep': admin.sleep,
    'POST /wake_up': admin.wakeUp,
    'GET /is_sleeping': admin.isSleeping,
    'POST /pause': admin.pause,
    'POST /resume': admin.resume,
    'GET /is_paused': admin.isPaused,
    'POST /v1/load_lora_adapter': admin.loadAdapter,
    'POST /v1/unload_lora_adapter': admin.unloadAdapter,
  },
}
