// What the SGLang router tells of its workers as a whole: whether they are well, what they are, how busy, their metrics.
import type { Core } from '../../core.ts'
import { json, text } from '../../routes/reply.ts'
import { plain } from '../gateway/answers.ts'
import { askAll, flushAll, isGood, loadsOf, mergeMetrics } from '../gateway/fan-out.ts'
import { fleetOf, type Backend } from '../gateway/fleet.ts'
import { pairGenerates } from '../gateway/pairs.ts'
import { askFirst } from '../gateway/proxy.ts'
import { failure } from './refusals.ts'

/** Those that have said what they are: of others it does not know. */
const registered = async (core: Core): Promise<Backend[]> =>
  (await fleetOf(core)).filter(({ isKnown }) => isKnown)

/** GET /readiness. `isPaired`: one worker of each role must be well. */
export async function readiness(core: Core, isPaired: boolean): Promise<Response> {
  const backends = await registered(core)
  const healthy = backends.filter(({ isHealthy }) => isHealthy)
  const has = (role: Backend['role']) => healthy.some((backend) => backend.role === role)
  const isReady = healthy.length > 0 && (!isPaired || (has('prefill') && has('decode')))
  if (isReady && !core.isDraining)
    return json({ status: 'ready', healthy_workers: healthy.length, total_workers: backends.length })
  return json({ status: 'not ready', reason: 'insufficient healthy workers' }, 503)
}

/** GET /health_generate: a worker generates, or one of each role. */
export async function healthGenerate(core: Core, isPaired: boolean): Promise<Response> {
  const paths = ['/health_generate', '/health']
  if (!core.config.strictCompat && isPaired) return pairGenerates(core, paths)
  const answer = core.config.strictCompat ? await anyHealthy(core) : await askFirst(core, paths)
  if (answer === null) return plain(503, 'No routers with healthy workers available')
  if (answer === 'unreachable') return unreachable()
  return answer
}

async function anyHealthy(core: Core): Promise<Response | null> {
  const isHealthy = (await fleetOf(core)).some((backend) => backend.isHealthy)
  return isHealthy ? plain(200, 'At least one router has healthy workers') : null
}

/** GET /get_server_info */
export async function serverInfo(core: Core): Promise<Response> {
  const count = (await registered(core)).length
  if (core.config.strictCompat)
    return text(JSON.stringify({ router_manager: true, routers_count: 1, workers_count: count }))
  return proxied(core, ['/server_info', '/get_server_info'])
}

/** GET /get_model_info */
export const modelInfo = (core: Core): Promise<Response> => proxied(core, ['/get_model_info', '/model_info'])

async function proxied(core: Core, paths: readonly string[]): Promise<Response> {
  const answer = await askFirst(core, paths)
  if (answer === null) return failure(503, 'no_workers', 'No workers are available')
  return answer === 'unreachable' ? unreachable() : answer
}

const unreachable = (): Response =>
  failure(500, 'call_upstream_request_error', 'The worker could not be reached.')

/** GET /v1/models */
export async function models(core: Core): Promise<Response> {
  const known = (await fleetOf(core)).filter(({ isHealthy, model }) => isHealthy && model !== 'unknown')
  const ids = [...new Set(known.map(({ model }) => model))]
  if (ids.length === 0) return plain(503, 'No models available')
  const list = { object: 'list', data: ids.map((id) => ({ id, object: 'model', owned_by: 'local' })) }
  // Clients of that API take it for JSON; the original says that it is plain text.
  return core.config.strictCompat ? text(JSON.stringify(list)) : json(list)
}

/** GET /engine_metrics */
export async function engineMetrics(core: Core): Promise<Response> {
  const backends = await registered(core)
  if (backends.length === 0) return plain(500, 'No available workers')
  const answers = (await askAll(core, backends, { method: 'GET', path: '/metrics' })).filter(isGood)
  return answers.length === 0 ? plain(500, 'All backend requests failed') : plain(200, mergeMetrics(answers))
}

/** POST /flush_cache */
export async function flushCache(core: Core): Promise<Response> {
  const answers = await flushAll(core, await registered(core))
  const failed = answers.filter((answer) => !isGood(answer))
  const counts = {
    workers_flushed: answers.length - failed.length,
    total_http_workers: answers.length,
    total_workers: answers.length,
  }
  if (failed.length === 0) {
    const message =
      answers.length === 0
        ? 'No HTTP workers available for cache flush'
        : `Successfully flushed cache on all ${answers.length} HTTP workers`
    return json({ status: 'success', message, ...counts })
  }
  const message = `Cache flush: ${counts.workers_flushed} succeeded, ${failed.length} failed`
  const successful = answers.filter(isGood).map(({ backend }) => backend.url)
  const told = failed.map(({ backend, status }) => ({
    worker: backend.url,
    error: status === 0 ? 'could not be reached' : `HTTP ${status}`,
  }))
  return json({ status: 'partial_success', message, ...counts, successful, failed: told }, 206)
}

/** GET /get_loads */
export async function getLoads(core: Core): Promise<Response> {
  const backends = await registered(core)
  const loads = await loadsOf(core, backends)
  return json({ workers: backends.map(({ url }, at) => ({ worker: url, load: loads[at] ?? -1 })) })
}
