// The workers as production-stack shows them: engines with an id, found by it.
import type { Core } from '../../core.ts'
import { fleetOf, uuidOf, type Backend } from '../gateway/fleet.ts'
import { optionsOf } from './options.ts'

export interface Engine extends Backend {
  /** What `?id=` names; the same for the same pod or URL. */
  readonly engineId: string
  readonly models: readonly string[]
  readonly draining: boolean
  /** Epoch seconds. */
  readonly created: number
}

/** All engines, those that sleep or fail too, in the order in which they came. */
export async function allEngines(core: Core): Promise<Engine[]> {
  const [backends, views] = await Promise.all([fleetOf(core), core.host.registry('main').list()])
  const byId = new Map(views.map((view) => [view.id, view]))
  return backends.flatMap((backend) => {
    const view = byId.get(backend.id)
    if (!view) return []
    const engineId = uuidOf(view.labels['k8s.pod.name'] ?? backend.url)
    const created = Math.floor(Date.parse(view.added_at) / 1000)
    const failing = backend.seat?.failing_models ?? []
    const models = view.models.filter((model) => !failing.includes(model))
    return [{ ...backend, engineId, models, draining: view.draining, created }]
  })
}

/** Those that are listed: where they are checked with real calls, who fails is not. */
export async function listedEngines(core: Core): Promise<Engine[]> {
  const { discovery, isChecked } = optionsOf(core).live
  const engines = await allEngines(core)
  if (discovery === 'static' && !isChecked) return engines
  return engines.filter(({ isHealthy, draining }) => isHealthy || draining)
}

/** The engine of an id; undefined: there is none. */
export async function engineOf(core: Core, id: string): Promise<Engine | undefined> {
  return (await allEngines(core)).find(({ engineId }) => engineId === id)
}
