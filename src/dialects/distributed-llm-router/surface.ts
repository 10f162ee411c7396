// Distributed-LLM-Router's endpoints, as they answer.
import type { RefusalValue } from '../../actors/ask.ts'
import type { SeatView } from '../../actors/seat.ts'
import { normalizeUrl } from '../../config/urls.ts'
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'
import { averageOf } from '../../policies/answer-times.ts'
import type { Happened, RefusedAt, Surface } from '../dialect.ts'
import {
  answer,
  checkBoolean,
  checkInteger,
  detail,
  methodNotAllowed,
  Unprocessable,
  unknownTo,
  unprocessable,
} from '../python/fastapi.ts'
import { showMetrics } from '../python/metrics.ts'
import { Float } from '../python/text.ts'
import { uuid4 } from '../python/uuid.ts'
import { Gauges } from './metrics.ts'

const CHAT = '/v1/chat/completions'

/** Its surface. */
export function surface(): Surface {
  const gauges = new Gauges()
  const acquaintance = { lookedAt: -Infinity }
  return {
    answer: (core, request, path) => route(core, request, path),
    fallback: async (core, request, path) =>
      path === CHAT ? methodNotAllowed('POST') : unknownTo(core, request, path),
    refuse: (refusal, at, core) => refuse(refusal, { ...at, core, gauges }),
    hear: (call, _request, core) => {
      meet(call, core, acquaintance)
      return hear(call)
    },
    makeId: ({ host }) => uuid4(host.random),
    mark: ({ worker }) => ['x-routed-node', worker.url],
    count: (happened: Happened, core: Core) => gauges.count(happened, core),
    read: (core, view) => gauges.read(core, view),
    start: ({ host }) => gauges.begin(host.now()),
    finish: (response, request, core) => finish(response, request, core),
  }
}

function route(core: Core, { method }: Request, path: string): Promise<Response> | Response | undefined {
  const page = SHOWN[path]
  if (!page) return path === CHAT && method !== 'POST' ? methodNotAllowed('POST') : undefined
  return method === 'GET' || method === 'HEAD' ? page(core) : methodNotAllowed('GET')
}

const SHOWN: Readonly<Record<string, (core: Core) => Promise<Response> | Response>> = {
  '/health': ({ config }) =>
    answer({
      status: 'ok',
      model: config.defaultModel ?? '',
      upstream_nodes: config.workers.map(({ url }) => normalizeUrl(url)),
      routing_strategy: config.policy,
    }),
  '/stats': async ({ host }) => {
    const { in_flight, queued, workers } = await host.pool('main').view()
    return answer({
      active_requests: new Float(in_flight),
      queue_depth: new Float(queued),
      nodes: workers.map(nodeOf),
    })
  },
  '/metrics': showMetrics,
}

const nodeOf = (worker: SeatView) => ({
  url: worker.url,
  active_requests: worker.in_flight,
  avg_latency: new Float(Math.round(averageOf(worker.recent_ms) * 1000) / 1e6),
  errors: worker.failed,
  healthy: worker.state !== 'down' && worker.state !== 'draining',
})

/** Nobody asks whether a model exists, but metrics name those that do: the directory is looked at beside the call. */
function meet({ model }: Call, { models, host, config }: Core, acquaintance: { lookedAt: number }): void {
  const now = host.now()
  if (models.known(model ?? config.defaultModel ?? null) !== '' || now - acquaintance.lookedAt < LOOK) return
  acquaintance.lookedAt = now
  host.after(models.refresh())
}

/** At most this often, ms. */
const LOOK = 1000

/** Its checks of the body. */
function hear(call: Call): Call {
  const findings = [...checkInteger(call, 'max_tokens', 1), ...checkBoolean(call, 'stream')]
  if (findings.length > 0) throw new Unprocessable(findings)
  return call
}

/** Our codes in its words: status and detail. */
const DETAILS: Readonly<Record<string, readonly [number, string]>> = {
  missing_api_key: [401, 'Missing bearer token'],
  invalid_api_key: [401, 'Invalid bearer token'],
  queue_full: [429, 'Gateway queue full'],
  no_workers: [503, 'No healthy upstream nodes'],
  connect_timeout: [504, 'Upstream timeout'],
  first_token_timeout: [504, 'Upstream timeout'],
  idle_timeout: [504, 'Upstream timeout'],
  total_timeout: [504, 'Upstream timeout'],
  worker_unreachable: [502, 'Upstream unavailable'],
  worker_died: [502, 'Upstream error'],
  worker_protocol_error: [502, 'Upstream error'],
}

function refuse(
  refusal: RefusalValue & { readonly decision?: string },
  { core, gauges, model, requestId }: RefusedAt & { readonly core: Core; readonly gauges: Gauges },
): Response {
  gauges.refused(refusal, { core, model: model ?? core.config.defaultModel ?? '' })
  const known = DETAILS[refusal.code]
  const response =
    unprocessable(refusal) ??
    detail(known?.[1] ?? refusal.message, known?.[0] ?? refusal.status, { 'x-fetchway-error': refusal.code })
  if (requestId !== undefined) response.headers.set('x-request-id', requestId)
  if (refusal.retryAfter !== undefined)
    response.headers.set('retry-after', String(Math.ceil(refusal.retryAfter)))
  if (response.status === 401) response.headers.set('www-authenticate', 'Bearer')
  return response
}

/** Every answer has an id; by `strictCompat` an engine's error is told as one of the gateway, with the engine's status inside. */
function finish(response: Response, request: Request, { config, host }: Core): Response {
  const isEngines = response.headers.has('x-routed-node')
  if (config.strictCompat && isEngines && response.status >= 400) {
    const id = response.headers.get('x-request-id') ?? ''
    // Nobody reads what the engine said.
    response.body?.cancel().catch(() => undefined)
    const error = { error: 'Upstream returned error', status_code: response.status }
    return detail(error, 502, { 'x-request-id': id })
  }
  if (!response.headers.has('x-request-id'))
    response.headers.set('x-request-id', request.headers.get('x-request-id') || uuid4(host.random))
  return response
}
