// Both planes of the router as handlers over one core: what becomes of a request, whatever lives around it.
import { authenticate } from './admission/auth.ts'
import { BodyBudget } from './admission/body.ts'
import { Models } from './admission/models.ts'
import { Validation } from './admission/validation.ts'
import type { RunLine } from './batches/runner.ts'
import { sendLine } from './batches/send-line.ts'
import type { Config } from './config/schema.ts'
import type { Core } from './core.ts'
import { corsRulesOf } from './dialects/cors-rules.ts'
import { dialectFirst, refuseFor, spoken, type Route } from './dialects/speak.ts'
import { Links } from './execute/links.ts'
import type { Alarms } from './forward/alarms.ts'
import { ClientLeft } from './forward/left.ts'
import { Notes } from './forward/notes.ts'
import type { Host } from './host.ts'
import { makeIds } from './ids.ts'
import { createInstruments } from './metrics/instruments.ts'
import { createMeter, type Meter } from './metrics/prometheus.ts'
import { requestIdOf } from './openai/head.ts'
import { endpoints, OTHER, type Endpoint } from './openai/endpoints.ts'
import { Refusal, wrongMethod } from './openai/errors.ts'
import { pathname, pathOf, targetOf, type Target } from './openai/target.ts'
import { withCors } from './routes/cors.ts'
import { answerCall, inference } from './routes/inference.ts'
import { isKept, kept } from './routes/keeping.ts'
import { refuse, text } from './routes/reply.ts'
import { Soon } from './soon.ts'
import { version } from './version.ts'
import { answer, controlRoutes, dataRoutes } from './routes/table.ts'
import { tunnel, TUNNEL_PATH } from './routes/tunnel.ts'
import { websocket } from './routes/websocket.ts'

/** The data plane, with the control plane where that has no listener of its own. */
export interface DataPlane {
  /** For a server that takes an answer without a promise. */
  answer(request: Request): Soon<Response>
  /** Answers a line of a batch: others vouched for it. */
  readonly line: RunLine
}

/** A dialect is fixed once the router runs: what listens speaks it or doesn't. */
export function dataPlane(core: Core): DataPlane {
  const isNative = core.config.dialect === undefined
  const data = dataRoutes()
  const control = controlRoutes(isNative)

  const route: Route = async (request, path) => {
    if (path === TUNNEL_PATH) return tunnel(core, request)
    if (isUpgrade(request)) return websocket(core, request)
    if (isKept(core, path)) return kept(core, request, path)
    const found = await answer(data, request, core)
    if (found) return found
    return core.config.adminListen === undefined ? answer(control, request, core) : undefined
  }

  const whole = async (request: Request, path: string): Promise<Response> =>
    (await route(request, path)) ?? elsewhere(core, request, path)

  /** The common case goes straight to its corridor, which answers its own errors. */
  const direct = (request: Request): Soon<Response> => {
    const target = targetOf(request.url)
    const endpoint = endpointOf(core, request, target)
    if (endpoint) return answerCall(core, request, endpoint)
    return Soon.of(guarded(core, request, () => whole(request, target.pathname)))
  }

  const native: Route = async (request, path) => {
    const endpoint = endpointOf(core, request, { pathname: path, endpoint: endpoints.get(path) })
    return endpoint ? inference(core, request, endpoint) : route(request, path)
  }
  const inDialect = dialectFirst(core, native, (request, path) => elsewhere(core, request, path))

  const speak = spoken(core, (request) => guarded(core, request, inDialect))
  const open = isNative ? direct : (request: Request) => Soon.of(speak(request))
  const { corsOrigins } = core.config
  const validation = new Validation(core.host)
  // Vouched for by others, or by nobody: then this costs nothing.
  const checked = (request: Request) =>
    guarded(core, request, async () => {
      await validation.check(core.config, request.headers)
      return open(request).promise()
    })
  const closed: typeof open = (request) =>
    core.config.apiKeyValidationUrls.length === 0 ? open(request) : Soon.of(checked(request))
  const shared = withCors(corsOrigins, (request) => closed(request).promise(), corsRulesOf(core.config))
  return {
    answer: corsOrigins.length > 0 ? (request) => Soon.of(shared(request)) : closed,
    line: (call) => sendLine(core, call, (request) => open(request).promise()),
  }
}

/** The control plane by itself. */
export function controlPlane(core: Core): (request: Request) => Promise<Response> {
  const control = controlRoutes(core.config.dialect === undefined)
  const route = async (request: Request): Promise<Response> => {
    const found = await answer(control, request, core)
    if (found) return found
    throw notFound(request.method, pathname(pathOf(request.url)))
  }
  return (request) => guarded(core, request, route)
}

/** Where a POST is an inference call, and not for what the router keeps itself. */
function endpointOf(
  core: Core,
  { method }: Request,
  { pathname: path, endpoint }: Pick<Target, 'pathname' | 'endpoint'>,
): Endpoint | undefined {
  if (method !== 'POST') return undefined
  return endpoint?.makesState && isKept(core, path) ? undefined : endpoint
}

/** What a core has by how its runtime lives. */
export interface Living {
  readonly alarms: Alarms
  /** Defines the metrics of the process. */
  readonly showProcess?: (meter: Meter) => void
}

/** What the planes share. */
export function createCore(config: Config, host: Host, { alarms, showProcess }: Living): Core {
  const meter = createMeter()
  return {
    config,
    host,
    models: new Models(host),
    buffers: new BodyBudget(config.maxBuffered, host.buffered),
    notes: new Notes(host),
    alarms,
    links: new Links(),
    instruments: createInstruments(meter, {
      version,
      ...(showProcess && { showProcess }),
      ...(config.durationBuckets.length > 0 && { durations: ascending(config.durationBuckets) }),
    }),
    meter,
    callers: new WeakMap(),
    recorder: host.recorder ?? null,
    ids: makeIds(host),
    surface: null,
    extensions: null,
    live: 0,
    isDraining: false,
  }
}

const ascending = (bounds: readonly number[]): number[] => [...new Set(bounds)].toSorted((a, b) => a - b)

/** What no route knows: a path of the engines under /v1, or nothing. */
function elsewhere(core: Core, request: Request, path: string): Promise<Response> {
  const { method } = request
  if (!path.startsWith('/v1/') && !endpoints.has(path)) throw notFound(method, path)
  const endpoint = endpoints.get(path)
  if (!endpoint || endpoint.makesState) return inference(core, request, OTHER)
  authenticate(core.config, request.headers)
  throw wrongMethod(`${method} is not possible on ${path}: send POST.`, 'POST')
}

async function guarded(
  core: Core,
  request: Request,
  route: (request: Request) => Promise<Response>,
): Promise<Response> {
  try {
    return await route(request)
  } catch (error) {
    if (error instanceof Refusal) {
      const id = requestIdOf(request.headers, core)
      return refuseFor(core, error, request, id)
    }
    // Nobody reads what is answered.
    if (error instanceof ClientLeft) return text('', 499)
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    core.host.log({ level: 'error', message: 'a request failed inside the router', detail })
    return refuse({
      status: 500,
      code: 'internal_error',
      message: 'The router failed on this request; its log has the details.',
    })
  }
}

const isUpgrade = (request: Request): boolean => request.headers.get('upgrade')?.toLowerCase() === 'websocket'

const notFound = (method: string, path: string) =>
  new Refusal(
    404,
    'not_found',
    `There is no ${method} ${path} here. Inference is under /v1, the control plane under /fetchway/v1.`,
  )
