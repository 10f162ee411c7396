// production-stack's endpoints, as they answer.
import type { Core } from '../../core.ts'
import type { Endpoint } from '../../openai/endpoints.ts'
import { inference } from '../../routes/inference.ts'
import type { Surface } from '../dialect.ts'
import { told, tracesOf } from '../gateway/traces.ts'
import { answer, methodNotAllowed, unknownTo } from '../python/fastapi.ts'
import { showMetrics } from '../python/metrics.ts'
import { uuid4 } from '../python/uuid.ts'
import { version } from '../../version.ts'
import { refuse } from './answers.ts'
import { filesAndBatches } from './batches.ts'
import { hear } from './hear.ts'
import { listedEngines } from './engines.ts'
import { listModels, modelNamed, Seen } from './models.ts'
import { Statistics } from './metrics.ts'
import { optionsOf, type Options } from './options.ts'
import { pairError } from './pair-errors.ts'
import { withoutRoot } from './root-path.ts'
import { pinned } from './pin.ts'
import { isSleeping, sleep, wakeUp } from './sleeping.ts'
import { measuring } from './statistics.ts'
import { WORDING } from './tracing.ts'

type Handler = (core: Core, request: Request) => Promise<Response> | Response

/** Pages by path and method. */
const PAGES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  '/health': { GET: health },
  '/version': { GET: () => answer({ version }) },
  '/v1/models': { GET: async (core) => answer(await listModels(core)) },
  '/engines': { GET: engines },
  '/metrics': { GET: showMetrics },
  '/sleep': { POST: sleep },
  '/wake_up': { POST: wakeUp },
  '/is_sleeping': { GET: isSleeping },
}

/** Calls that go to workers; the native router answers them. */
const CALLS: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/tokenize',
  '/detokenize',
  '/v1/rerank',
  '/rerank',
  '/v1/score',
  '/score',
  '/v1/responses',
  '/v1/messages',
  '/v1/audio/speech',
  '/v1/audio/translations',
  '/v1/audio/transcriptions',
  '/v1/images/generations',
  '/v1/images/edits',
])

/** A call like any: it has to name its model, in its query here. */
const VOICES: Endpoint = { name: '/v1/audio/voices', body: 'none', engines: null }

/** What a surface has besides, made of what it measures. */
type Beside = (options: Options, statistics: Statistics) => Partial<Surface>

/** Its surface; what is measured is measured by this one. */
export function surface(given: Readonly<Record<string, unknown>>, beside?: Beside): Surface {
  const options = given as unknown as Options
  const statistics = new Statistics(options.requestStatsWindow * 1000)
  const { refused, ...measured } = measuring(statistics)
  const traces = tracesOf(given, WORDING)
  const seen = new Seen()
  const { rootPath } = options
  return {
    ...(rootPath !== '' && { enter: (request: Request) => withoutRoot(request, rootPath) }),
    answer: route,
    fallback: unknownTo,
    refuse: (refusal, at, core) => {
      const model = modelNamed(core, at.model ?? '')
      refused(refusal, core.models.known(model), core)
      traces?.refused(refusal.status, at.requestId, core)
      return refuse(refusal, at, { core, wasSeen: seen.has(core, model) })
    },
    makeId: ({ host }) => uuid4(host.random),
    retell: ({ leg, status, text }, core) => pairError(core, leg, status, text),
    hear: (call, request, core) => {
      seen.learn(core)
      const heard = hear(call, request, core)
      return pinned(core, traces?.began(heard, core, request.url) ?? heard)
    },
    ...measured,
    ...told(measured, traces),
    ...beside?.(options, statistics),
  }
}

function route(core: Core, request: Request, path: string): Promise<Response> | Response | undefined {
  const method = request.method === 'HEAD' ? 'GET' : request.method
  if (CALLS.has(path)) return method === 'POST' ? undefined : methodNotAllowed('POST')
  if (path === VOICES.name)
    return method === 'GET' ? inference(core, request, VOICES) : methodNotAllowed('GET')
  const page = PAGES[path]
  if (!page) return filesAndBatches(core, request, path)
  const handler = page[method]
  return handler ? handler(core, request) : methodNotAllowed(Object.keys(page).join(', '))
}

function health(core: Core): Response {
  const { dynamic } = optionsOf(core).live
  return answer({ status: 'healthy', ...(dynamic && { dynamic_config: dynamic }) })
}

async function engines(core: Core): Promise<Response> {
  const listed = await listedEngines(core)
  return answer(
    listed.map(({ engineId, models, created }) => ({ engine_id: engineId, serving_models: models, created })),
  )
}
