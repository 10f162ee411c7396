// SGLang: its routes and its way to refuse.
import * as admin from './admin.ts'
import { chatCompletions } from './chat.ts'
import { textCompletions } from './completions.ts'
import { drawImages, speak, transcribe } from './media.ts'
import { sglangMetrics } from './metrics.ts'
import { sglangGenerate } from './native-generate.ts'
import { countMessageTokens, createMessage } from './messages.ts'
import { classify, embeddings, rerank, sglangScore } from './represent.ts'
import { cancelResponse, createResponse, fetchResponse } from './responses.ts'
import type { Profile } from './routes.ts'
import { sglangWording } from './sglang-wording.ts'

export const sglang: Profile = {
  wording: sglangWording,
  statusOf: (refusal) => refusal.status,
  routes: {
    'POST /v1/chat/completions': chatCompletions(sglangWording),
    'POST /v1/completions': textCompletions(sglangWording),
    'POST /v1/responses': createResponse,
    'GET /v1/responses/{id}': fetchResponse,
    'POST /v1/responses/{id}/cancel': cancelResponse,
    'POST /v1/messages': createMessage,
    'POST /v1/messages/count_tokens': countMessageTokens,
    'POST /generate': sglangGenerate,
    'PUT /generate': sglangGenerate,
    'POST /v1/embeddings': embeddings,
    'POST /classify': classify,
    'POST /v1/classify': classify,
    'POST /v1/score': sglangScore,
    'POST /v1/rerank': rerank,
    'POST /v1/audio/transcriptions': transcribe,
    'POST /v1/audio/speech': speak,
    'POST /v1/images/generations': drawImages,
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
