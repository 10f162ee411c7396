// The native control plane under /fetchway/v1: workers, draining, status, configuration.
import type { Registered } from '../actors/registry.ts'
import type { WorkerView } from '../actors/members.ts'
import { serverIdOf, workerIdsOf } from '../actors/ranks.ts'
import type { SeatView } from '../actors/seat.ts'
import { nearest } from '../config/nearest.ts'
import { redact } from '../config/redact.ts'
import { workerSchema, type WorkerSpec } from '../config/schema.ts'
import type { Core } from '../core.ts'
import { Refusal } from '../openai/errors.ts'
import { version } from '../version.ts'
import { json } from './reply.ts'

/** A worker with what its pool knows of it. */
type Shown = WorkerView &
  Omit<SeatView, 'id' | 'url' | 'engine' | 'role' | 'state'> & {
    readonly state: SeatView['state'] | 'starting'
  }

const registryOf = (core: Core) => core.host.registry('main')

/** GET workers: all of them, each with what its pool knows of it. */
export async function listWorkers(core: Core): Promise<Response> {
  return json({ object: 'list', data: await shown(core) })
}

/** GET workers/{id}: a worker; by the id of a server with data-parallel ranks, the server with its ranks in `workers`. */
export async function showWorker(core: Core, id: string): Promise<Response> {
  const all = await shown(core)
  const worker = all.find((one) => one.id === id)
  if (worker) return json(worker)
  const server = await registryOf(core).get(id)
  if (!server) throw notFound(id)
  return json({ ...server, workers: all.filter((one) => serverIdOf(one.id) === id) })
}

/** POST workers: 201 with the worker; it takes calls as soon as it answered what it is. */
export async function addWorker(core: Core, request: Request): Promise<Response> {
  const spec = readSpec(await readObject(request))
  const { worker } = accepted(await registryOf(core).add(spec, 'api'))
  return json(worker, 201, { location: `/fetchway/v1/workers/${worker.id}` })
}

/** PATCH workers/{id}: any of the fields of POST but the URL, and `draining`. */
export async function changeWorker(core: Core, request: Request, id: string): Promise<Response> {
  const { draining, ...rest } = camelKeys(await readObject(request))
  if (draining !== undefined && typeof draining !== 'boolean')
    throw invalid('"draining" must be true or false')
  if ('url' in rest) throw invalid('"url" is what a worker is known by: remove this worker and add another')
  const current = await registryOf(core).get(id)
  if (!current) throw notFound(id)
  const given = Object.keys(rest)
  // Its own URL may be one that nobody can give (tunnel:).
  const parsed = readSpec({ url: 'http://worker', ...withoutNull(rest) })
  const spec = Object.fromEntries(given.map((key) => [key, parsed[key as keyof WorkerSpec] ?? null]))
  const change = { draining, ...(given.length > 0 && { spec: spec as Partial<WorkerSpec> }) }
  return json(accepted(await registryOf(core).patch(id, change)).worker)
}

/** POST workers/{id}/drain and /undrain: finishes what it has, takes no new calls. */
export async function drainWorker(core: Core, id: string, draining: boolean): Promise<Response> {
  accepted(await registryOf(core).patch(id, { draining }))
  return showWorker(core, id)
}

/** DELETE workers/{id}: calls in flight finish. Of a data-parallel rank: its server with all ranks. */
export async function removeWorker(core: Core, id: string): Promise<Response> {
  const { worker } = accepted(await registryOf(core).remove(id))
  for (const one of workerIdsOf(worker)) {
    core.instruments.forget(one)
    core.host.after(core.links.drop(core, one))
  }
  core.host.tunnels?.drop(worker.id, worker.url)
  return json({ id: worker.id, url: worker.url, object: 'worker', deleted: true })
}

/** GET status: the router and its pool in a few numbers. */
export async function status(core: Core): Promise<Response> {
  const [view, elsewhere = 0] = await Promise.all([core.host.pool('main').view(), core.host.peers?.live()])
  const directory = await core.models.refresh()
  return json({
    version,
    policy: core.config.policy,
    draining: core.isDraining,
    in_flight: view.in_flight,
    queued: view.queued,
    live: core.live + elsewhere,
    buffered_bytes: core.buffers.used,
    models: directory.models.map((model) => model.id),
    workers: await shown(core),
  })
}

/** How the sources are that workers are found by: when they last knew, and what keeps them from it. */
export async function showDiscovery(core: Core): Promise<Response> {
  const sources = await registryOf(core).sources()
  const data = sources.map((source) => {
    const { isSettled: _, ...shown } = source
    return shown
  })
  return json({ object: 'list', data })
}

/** The configuration in force, without keys. */
export const showConfig = (core: Core): Response => json(redact(core.config))

async function shown(core: Core): Promise<Shown[]> {
  const [workers, view] = await Promise.all([registryOf(core).list(), core.host.pool('main').view()])
  const seats = new Map(view.workers.map((seat) => [seat.id, seat]))
  return workers.map((worker) => {
    const { id: _id, url: _url, engine: _engine, role: _role, ...seat } = seats.get(worker.id) ?? NO_SEAT
    // Until it said what it is, nothing is sent there.
    return { ...worker, ...seat, ...(!worker.known && { state: 'starting' as const }) }
  })
}

const NO_SEAT: SeatView = {
  id: '',
  url: '',
  engine: '',
  role: '',
  state: 'down',
  breaker: 'closed',
  breaker_trips: 0,
  breaker_moves: { closed_open: 0, open_half_open: 0, half_open_open: 0, half_open_closed: 0 },
  probes: { good: 0, bad: 0 },
  in_flight: 0,
  backlog_tokens: 0,
  speed: 0,
  held_tokens: 0,
  capacity_tokens: 0,
  index_tokens: 0,
  latency_ms: 0,
  recent_ms: [],
  predicted_cached_tokens: 0,
  cached_tokens: 0,
  prediction_error_tokens: 0,
  served: 0,
  failed: 0,
  load: null,
  load_failures: 0,
  kv_events: null,
  binding: 'early',
}

function accepted(registered: Registered): { readonly worker: WorkerView } {
  if ('worker' in registered) return registered
  const { status: code, code: name, message } = registered.refusal
  throw new Refusal(code, name, message)
}

async function readObject(request: Request): Promise<Record<string, unknown>> {
  let value: unknown
  try {
    value = await request.json()
  } catch {
    throw invalid('the body is not valid JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('the body must be a JSON object')
  return value as Record<string, unknown>
}

function readSpec(value: Record<string, unknown>): WorkerSpec {
  const parsed = workerSchema.safeParse(camelKeys(value))
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' && issue.path.length === 0
      ? issue.keys.map((key) => `unknown key ${key}${meant(key)}`)
      : [`${issue.path.join('.') || 'worker'}: ${issue.message}`],
  )
  throw invalid(issues.join('; '))
}

function meant(key: string): string {
  const name = nearest(key, Object.keys(workerSchema.shape))
  return name === null ? '' : ` (did you mean ${name}?)`
}

/** The API takes snake_case as well as the configuration file's camelCase; label and header names are left alone. */
function camelKeys(value: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, one]) => [
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    one,
  ])
  return Object.fromEntries(entries) as Record<string, unknown>
}

const withoutNull = (value: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null))

const invalid = (what: string) => new Refusal(400, 'invalid_worker', `This worker can't be used: ${what}.`)

const notFound = (id: string) =>
  new Refusal(404, 'worker_not_found', `There is no worker ${id}: GET /fetchway/v1/workers lists them.`)
