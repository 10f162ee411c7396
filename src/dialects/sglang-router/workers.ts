// The second generation of worker management: by UUID, and what is asked for is done after the answer.
import type { WorkerSpec } from '../../config/schema.ts'
import type { Core } from '../../core.ts'
import { json } from '../../routes/reply.ts'
import { coded, noText, objectOf, plain } from '../gateway/answers.ts'
import { fleetOf, uuidOf, type Backend } from '../gateway/fleet.ts'
import { specOf, type Job, type Joining } from '../gateway/joining.ts'
import { isThere, removed } from '../gateway/legacy.ts'
import type { Labels, Metadata } from './metadata.ts'

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
const ROLES: Readonly<Record<string, string>> = { regular: 'mixed', prefill: 'prefill', decode: 'decode' }
const RUNTIMES: readonly unknown[] = ['vllm', 'sglang', 'lmdeploy']
/** Labels that stand for fields of its own. */
const PRIORITY = 'priority'
const COST = 'cost'

/** POST /workers */
export async function create(core: Core, request: Request, joining: Joining): Promise<Response> {
  const body = await objectOf(request)
  if (body instanceof Response) return body
  if (typeof body['url'] !== 'string') return plain(422, noText('url', body['url']))
  const spec = specOf(specFields(body))
  if (typeof spec === 'string') return coded(400, `Invalid worker: ${spec}`, 'INVALID_WORKER')
  const id = uuidOf(spec.url)
  const isTwice = await isThere(core, spec.url, joining)
  if (isTwice && !core.config.strictCompat)
    return coded(409, `Worker ${spec.url} already exists`, 'WORKER_ALREADY_EXISTS')
  if (!isTwice) core.host.after(joining.join(core, spec))
  const location = `/workers/${id}`
  const message = 'Worker addition queued for background processing'
  return json({ status: 'accepted', worker_id: id, url: body['url'], location, message }, 202, { location })
}

/** Fields of its WorkerConfigRequest as ours; what is missing here has no meaning here. */
function specFields(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { url, api_key, model_id, worker_type, bootstrap_port, runtime, dp_aware } = body
  const labels = labelsOf(body)
  return {
    url,
    ...(typeof api_key === 'string' && { apiKey: api_key }),
    ...(typeof model_id === 'string' && { models: [model_id] }),
    ...(typeof worker_type === 'string' && { role: ROLES[worker_type] ?? worker_type }),
    ...(typeof bootstrap_port === 'number' && { bootstrapPort: bootstrap_port }),
    // Without a port engines are told none, and take their own.
    ...(worker_type === 'prefill' && typeof bootstrap_port !== 'number' && { bootstrapPort: null }),
    ...(RUNTIMES.includes(runtime) && { engine: runtime }),
    ...(dp_aware === true && { ranks: 'ask' }),
    ...(Object.keys(labels).length > 0 && { labels }),
  }
}

function labelsOf(body: Readonly<Record<string, unknown>>): Record<string, string> {
  const own = [PRIORITY, COST].flatMap((name) =>
    typeof body[name] === 'number' ? [[name, String(body[name])] as const] : [],
  )
  const given = Object.entries((body['labels'] as Record<string, unknown> | undefined) ?? {})
  return Object.fromEntries([...given.map(([name, value]) => [name, String(value)] as const), ...own])
}

/** GET /workers */
export async function list(core: Core, metadata: Metadata): Promise<Response> {
  const backends = (await fleetOf(core)).filter(({ isKnown }) => isKnown)
  const labels = await metadata.of(core, backends)
  const count = (role: Backend['role']) => backends.filter((backend) => backend.role === role).length
  return json({
    workers: backends.map((backend, at) => infoOf(backend, labels[at] ?? {})),
    total: backends.length,
    stats: {
      prefill_count: count('prefill'),
      decode_count: count('decode'),
      regular_count: count('regular'),
    },
  })
}

/** GET /workers/{uuid} */
export async function show(
  core: Core,
  id: string,
  { joining, metadata }: { readonly joining: Joining; readonly metadata: Metadata },
): Promise<Response> {
  const problem = badId(id)
  if (problem) return problem
  const backends = await fleetOf(core)
  const at = backends.findIndex(({ uuid }) => uuid === id.toLowerCase())
  const backend = backends[at]
  if (backend) return json(infoOf(backend, (await metadata.of(core, backends))[at] ?? {}))
  const now = core.host.now()
  const job = joining.jobs(now).find(({ spec }) => uuidOf(spec.url) === id.toLowerCase())
  return job ? json(pendingOf(id, job)) : unknown(id)
}

/** PUT /workers/{uuid}: what is given changes. */
export async function change(core: Core, request: Request, id: string): Promise<Response> {
  const problem = badId(id)
  if (problem) return problem
  const body = await objectOf(request)
  if (body instanceof Response) return body
  const backend = (await fleetOf(core)).find(({ uuid }) => uuid === id.toLowerCase())
  if (!backend) return unknown(id)
  const spec: Partial<WorkerSpec> = {
    labels: { ...backend.labels, ...labelsOf(body) },
    ...(typeof body['api_key'] === 'string' && { apiKey: body['api_key'] }),
  }
  await core.host.registry('main').patch(backend.id, { spec })
  return queued(id, 'Worker update queued for background processing')
}

/** DELETE /workers/{uuid} */
export async function remove(core: Core, id: string, joining: Joining): Promise<Response> {
  const problem = badId(id)
  if (problem) return problem
  const wanted = id.toLowerCase()
  const job = joining.jobs(core.host.now()).find(({ spec }) => uuidOf(spec.url) === wanted)
  const url = job?.spec.url ?? (await fleetOf(core)).find(({ uuid }) => uuid === wanted)?.url
  if (url === undefined) return unknown(id)
  await removed(core, url, joining)
  return queued(id, 'Worker removal queued for background processing')
}

const queued = (id: string, message: string): Response =>
  json({ status: 'accepted', worker_id: id, message }, 202)

const unknown = (id: string): Response => coded(404, `Worker ${id} not found`, 'WORKER_NOT_FOUND')

const badId = (id: string): Response | null =>
  UUID.test(id) ? null : coded(400, `Invalid worker_id '${id}' (expected UUID)`, 'BAD_REQUEST')

/** Its WorkerInfo. */
function infoOf(
  { uuid, url, model, role, isHealthy, load, labels, ref }: Backend,
  told: Labels,
): Record<string, unknown> {
  const { [PRIORITY]: priority, [COST]: cost } = labels
  return {
    id: uuid,
    url,
    model_id: model,
    priority: Number(priority ?? 50),
    cost: Number(cost ?? 1),
    worker_type: role,
    is_healthy: isHealthy,
    load,
    connection_mode: 'HTTP',
    ...(typeof ref.bootstrapPort === 'number' && { bootstrap_port: ref.bootstrapPort }),
    metadata: {
      ...(model !== 'unknown' && { model_path: model, served_model_name: model }),
      ...(ref.ranks !== undefined && { dp_size: String(ref.ranks) }),
      ...told,
      ...labels,
    },
    disable_health_check: false,
  }
}

/** Of a worker that has not come up (yet). */
function pendingOf(id: string, { spec, startedAt, status, message }: Job): Record<string, unknown> {
  return {
    id,
    url: spec.url,
    model_id: 'unknown',
    priority: 50,
    cost: 1,
    worker_type: 'unknown',
    is_healthy: false,
    load: 0,
    connection_mode: 'unknown',
    disable_health_check: false,
    job_status: {
      job_type: 'AddWorker',
      worker_url: spec.url,
      status,
      message: message ?? null,
      timestamp: Math.floor(startedAt / 1000),
    },
  }
}
