// LMDeploy: its routes and its way to refuse.
import * as admin from './admin.ts'
import { chatCompletions } from './chat.ts'
import { textCompletions } from './completions.ts'
import * as distserve from './distserve.ts'
import { lmdeployWording } from './lmdeploy-wording.ts'
import { lmdeployMetrics } from './metrics.ts'
import { createResponse } from './responses.ts'
import { lmdeployGenerate } from './native-generate.ts'
import { noEmbeddings, pooling } from './represent.ts'
import type { Profile } from './routes.ts'

export const lmdeploy: Profile = {
  wording: lmdeployWording,
  // Shape errors are the web framework's.
  statusOf: (refusal) => (refusal.kind === 'bad_json' || refusal.kind === 'invalid' ? 422 : refusal.status),
  routes: {
    'POST /v1/chat/completions': chatCompletions(lmdeployWording),
    'POST /v1/completions': textCompletions(lmdeployWording),
    'POST /v1/responses': createResponse,
    'POST /generate': lmdeployGenerate,
    'POST /v1/embeddings': noEmbeddings,
    'POST /pooling': pooling,
    'GET /distserve/engine_info': distserve.engineInfo,
    'POST /distserve/p2p_initialize': distserve.initialize,
    'POST /distserve/p2p_connect': distserve.connect,
    'POST /distserve/p2p_drop_connect': distserve.dropConnect,
    'POST /distserve/free_cache': distserve.freeCache,
    'GET /v1/models': admin.models,
    'POST /v1/encode': admin.encodeInput,
    'GET /health': admin.healthy,
    'GET /metrics': lmdeployMetrics,
    'POST /sleep': admin.sleep,
    'POST /wakeup': admin.wakeUp,
    'GET /is_sleeping': admin.isSleeping,
  },
}
