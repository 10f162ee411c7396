// vLLM: its routes and its way to refuse.
import * as admin from './admin.ts'
import { chatCompletions } from './chat.ts'
import { textCompletions } from './completions.ts'
import { json } from './exchange.ts'
import { kvEventSources } from './kv-feed.ts'
import { drawImages, speak, transcribe } from './media.ts'
import { vllmMetrics } from './metrics.ts'
import { countMessageTokens, createMessage } from './messages.ts'
import { classify, embeddings, pooling, rerank, vllmScore } from './represent.ts'
import { cancelResponse, createResponse, fetchResponse } from './responses.ts'
import type { Profile } from './routes.ts'
import { VLLM_VERSION, vllmWording } from './vllm-wording.ts'

export const vllm: Profile = {
  wording: vllmWording,
  statusOf: (refusal) => refusal.status,
  routes: {
    'POST /v1/chat/completions': chatCompletions(vllmWording),
    'POST /v1/completions': textCompletions(vllmWording),
    'POST /v1/responses': createResponse,
    'GET /v1/responses/{id}': fetchResponse,
    'POST /v1/responses/{id}/cancel': cancelResponse,
    'POST /v1/messages': createMessage,
    'POST /v1/messages/count_tokens': countMessageTokens,
    'POST /v1/embeddings': embeddings,
    'POST /pooling': pooling,
    'POST /classify': classify,
    'POST /v1/classify': classify,
    'POST /score': vllmScore,
    'POST /v1/score': vllmScore,
    'POST /rerank': rerank,
    'POST /v1/rerank': rerank,
    'POST /v2/rerank': rerank,
    'POST /v1/audio/transcriptions': transcribe,
    'POST /v1/audio/translations': transcribe,
    'POST /v1/audio/speech': speak,
    'POST /v1/images/generations': drawImages,
    'GET /v1/models': admin.models,
    'POST /tokenize': admin.tokenize,
    'POST /detokenize': admin.detokenize,
    'GET /health': admin.ok,
    'GET /ping': admin.ok,
    'POST /ping': admin.ok,
    'GET /version': () => json({ version: VLLM_VERSION }),
    // Mooncake's bootstrap server; the real one has a port of its own.
    'GET /query': ({ sim }) => json({ '0': { engine_id: sim.engineId } }),
    'GET /metrics': vllmMetrics,
    'GET /load': admin.vllmLoad,
    'GET /server_info': admin.vllmServerInfo,
    'GET /kv_event_sources': kvEventSources,
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
