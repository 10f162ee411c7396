// SGLang: its routes and its way to refuse.
import * as admin from './admin.ts'
import { chatCompletions } from './chat.ts'
import { textCompletions } from './completions.ts'
import { sglangMetrics } from './metrics.ts'
import type { Profile } from './routes.ts'
import { sglangWording } from './sglang-wording.ts'

export const sglang: Profile = {
  wording: sglangWording,
  statusOf: (refusal) => refusal.status,
  routes: {
    'POST /v1/chat/completions': chatCompletions(sglangWording),
    'POST /v1/completions': textCompletions(sglangWording),
    'GET /v1/models': admin.models,
    'POST /tokenize': admin.tokenize,
    'POST /v1/tokenize': admin.tokenize,
    'POST /detokenize': admin.detokenize,
    'POST /v1/detokenize': admin.detokenize,
    'GET /health': admin.ok,
    'GET /health_generate': admin.ok,
    'GET /ping': admin.ok,
    'GET /metrics': sglangMetrics,
    'GET /get_load': admin.getLoad,
    'GET /v1/loads': admin.loads,
    'GET /get_server_info': admin.sglangServerInfo,
    'GET /server_info': admin.sglangServerInfo,
    'GET /get_model_info': admin.sglangModelInfo,
    'GET /model_info': admin.sglangModelInfo,
    'GET /flush_cache': admin.flushCache,
    'POST /flush_cache': admin.flushCache,
    'POST /load_lora_adapter': admin.loadAdapter,
    'POST /unload_lora_adapter': admin.unloadAdapter,
  },
}
