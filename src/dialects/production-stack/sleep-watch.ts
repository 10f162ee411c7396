// Who sleeps and who is awake again, whoever told them: looked at by the clock.
import type { Core } from '../../core.ts'
import { askWorker } from '../../discovery/ask.ts'
import { allEngines, type Engine } from './engines.ts'
import { optionsOf } from './options.ts'
import { isGood, parsed, PATIENCE } from './sleeping.ts'

/** How often engines in Kubernetes are asked whether they sleep, ms: another router may have told them to, or one before this one. */
const INTERVAL = 30_000

/** Follows who sleeps and who is awake again, whoever told them, where workers are found in Kubernetes. */
export function followSleep(core: Core): void {
  if (optionsOf(core).live.discovery !== 'k8s') return
  const asleep = new Set<string>()
  const look = async () => {
    await Promise.all((await allEngines(core)).map((engine) => follow(core, engine, asleep)))
  }
  const again = () =>
    void core.host.timer(INTERVAL, () => {
      again()
      core.host.after(look())
    })
  again()
}

/** An engine that has no such thing as sleep is left alone. */
async function follow(core: Core, { id, ref }: Engine, asleep: Set<string>): Promise<void> {
  const asked = await askWorker(core.host, ref, { method: 'GET', path: '/is_sleeping', timeout: PATIENCE })
  const told = isGood(asked)
    ? (parsed(asked.text) as { is_sleeping?: unknown } | null)?.is_sleeping
    : undefined
  if (typeof told !== 'boolean' || told === asleep.has(id)) return
  if (told) asleep.add(id)
  else asleep.delete(id)
  await core.host.registry('main').patch(id, { draining: told })
}
