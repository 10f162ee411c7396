// Is it alive, is it ready, what is it.
import type { Core } from '../core.ts'
import { version } from '../version.ts'
import { json, text } from './reply.ts'

/** Alive as long as it can answer at all; asks nobody, so that load never fails it. */
export const livez = (): Response => text('ok\n')

/** Ready while it may get new calls: not told to stop, and at least one worker is up. */
export async function readyz(core: Core): Promise<Response> {
  const { status, up, total } = await stateOf(core)
  return json({ status, workers_up: up, workers: total }, status === 'ready' ? 200 : 503)
}

/** For people and load balancers that know one path: 200 while it serves, with the state of the fleet in the body. */
export async function health(core: Core): Promise<Response> {
  const { status, up, total } = await stateOf(core)
  return json(
    { status: status === 'ready' ? 'ok' : status, workers_up: up, workers: total },
    core.isDraining ? 503 : 200,
  )
}

export const versionRoute = (): Response => json({ version, name: 'fetchway' })

async function stateOf(
  core: Core,
): Promise<{ status: 'ready' | 'draining' | 'no_workers'; up: number; total: number }> {
  const [view, membership] = await Promise.all([
    core.host.pool('main').view(),
    core.host.registry('main').members(0),
  ])
  const known = new Set(
    membership?.members.filter((member) => member.models?.length !== 0).map((member) => member.ref.id),
  )
  const up = view.workers.filter(
    (worker) => known.has(worker.id) && worker.state !== 'down' && worker.state !== 'draining',
  )
  const roles = new Set(up.map(({ role }) => role))
  // A decode worker without any prefill worker can't take the calls that it is there for, nor the other way round.
  const canServe = roles.has('mixed') || (roles.has('prefill') && roles.has('decode'))
  const status = core.isDraining ? 'draining' : canServe ? 'ready' : 'no_workers'
  return { status, up: up.length, total: view.workers.length }
}
