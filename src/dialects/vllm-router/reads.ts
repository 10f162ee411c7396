// What the vLLM router tells of its workers as a whole: whether they are well, who they are, how busy; and their caches.
import type { Core } from '../../core.ts'
import { json } from '../../routes/reply.ts'
import { listed, phrased, plain } from '../gateway/answers.ts'
import { flushAll, isGood, loadsOf, type Answered } from '../gateway/fan-out.ts'
import { fleetOf, type Backend } from '../gateway/fleet.ts'
import type { Joining } from '../gateway/joining.ts'

/** GET /health: that of its workers. */
export async function health(core: Core, joining: Joining, isDiscovering: boolean): Promise<Response> {
  const backends = await fleetOf(core)
  const count = (role: Backend['role']) => backends.filter((one) => one.role === role).length
  const [prefill, decode] = [count('prefill'), count('decode')]
  const ill = backends.filter(({ isHealthy }) => !isHealthy).map(({ url }) => url)
  if (core.isDraining) return plain(503, 'Shutting down')
  if (isDiscovering && (prefill === 0 || decode === 0))
    return plain(503, `Waiting for discovered workers: ${prefill} prefill, ${decode} decode`)
  const waiting = joining.jobs(core.host.now()).filter(({ status }) => status !== 'failed')
  if (backends.length === 0 && waiting.length > 0) return plain(503, 'Waiting for workers')
  return ill.length === 0
    ? plain(200, 'All servers healthy')
    : plain(503, `Unhealthy servers: ${listed(ill)}`)
}

/** GET /readiness */
export async function readiness(core: Core, isPaired: boolean): Promise<Response> {
  const backends = await fleetOf(core)
  const healthy = backends.filter(({ isHealthy }) => isHealthy)
  const of = (role: Backend['role']) => ({
    healthy: healthy.filter((one) => one.role === role).length,
    total: backends.filter((one) => one.role === role).length,
  })
  const [prefill, decode] = [of('prefill'), of('decode')]
  const isReady = healthy.length > 0 && (!isPaired || (prefill.healthy > 0 && decode.healthy > 0))
  const total_workers = backends.length
  if (!isReady || core.isDraining)
    return json({ status: 'not_ready', reason: 'no healthy workers available', total_workers }, 503)
  return isPaired
    ? json({ status: 'ready', prefill, decode })
    : json({ status: 'ready', healthy_workers: healthy.length, total_workers })
}

/** POST /flush_cache */
export async function flushCache(core: Core): Promise<Response> {
  const answers = await flushAll(core, await fleetOf(core))
  return answers.every(isGood)
    ? plain(200, 'Cache flushed on all servers')
    : plain(500, 'Cache flush failed on one or more servers')
}

/** GET /get_loads */
export async function getLoads(core: Core): Promise<Response> {
  const backends = await fleetOf(core)
  const loads = await loadsOf(core, backends)
  return json({ workers: backends.map(({ url }, at) => ({ worker: url, load: loads[at] ?? -1 })) })
}

/** POST /flush_cache of prefill and decode workers: some failed is 206, all is 500. */
export async function flushPairs(core: Core): Promise<Response> {
  const answers = await flushAll(core, await fleetOf(core))
  const results = answers.filter(isGood).map(({ backend }) => `${titled(backend)} ${backend.url}: OK`)
  const errors = answers.filter((answer) => !isGood(answer)).map(failed)
  return errors.length === 0
    ? plain(200, `Cache flushed successfully: ${listed(results)}`)
    : plain(206, `Partial success. Results: ${listed(results)}, Errors: ${listed(errors)}`)
}

const failed = ({ backend, status }: Answered): string =>
  status === 0
    ? `${titled(backend)} ${backend.url} could not be reached`
    : `${titled(backend)} ${backend.url} returned status: ${phrased(status)}`

const titled = ({ role }: Backend): string => `${(role[0] ?? '').toUpperCase()}${role.slice(1)}`

/** GET /get_loads of prefill and decode workers */
export async function pairLoads(core: Core): Promise<Response> {
  const backends = await fleetOf(core)
  const told = await loadsOf(core, backends)
  const loads: Record<string, number> = {}
  const errors: string[] = []
  for (const [at, { role, url }] of backends.entries()) {
    const load = told[at] ?? -1
    if (load < 0) errors.push(`Failed to get load from ${role} ${url}`)
    else loads[`${role}_${url}`] = load
  }
  return json({ loads, errors })
}

/** GET /workers */
export async function list(core: Core): Promise<Response> {
  const backends = await fleetOf(core)
  const count = (role: Backend['role']) => backends.filter((backend) => backend.role === role).length
  return json({
    workers: backends.map(({ url, role, isHealthy, load, ref }) => ({
      url,
      model_id: 'unknown',
      worker_type: role,
      is_healthy: isHealthy,
      load,
      connection_mode: 'Http',
      priority: 50,
      cost: 1,
      ...(role === 'prefill' && { bootstrap_port: ref.bootstrapPort ?? null }),
    })),
    total: backends.length,
    stats: {
      prefill_count: count('prefill'),
      decode_count: count('decode'),
      regular_count: count('regular'),
    },
  })
}
