// `?id=ENGINE`: a call that goes to one engine alone.
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'
import { pathname } from '../../openai/target.ts'
import { allEngines } from './engines.ts'

/** No worker has this id: the model is there, but not where the call wants to go. */
const NOWHERE = 'w-none'

/** The call without its query, which engines never get, bound to the engine that it names. */
export async function pinned(core: Core, call: Call): Promise<Call> {
  const at = call.path.indexOf('?')
  if (at < 0) return call
  const bare = { ...call, path: pathname(call.path) }
  const id = new URLSearchParams(call.path.slice(at)).get('id')
  if (id === null || id === '') return bare
  const { aliases, models } = core.config
  const named = call.model ?? ''
  const model = Object.hasOwn(aliases, named) ? (aliases[named] as string) : named
  const engine = (await allEngines(core)).find(({ engineId }) => engineId === id)
  const takes = engine && !engine.draining && (models === 'ignore' || engine.models.includes(model))
  return { ...bare, pin: takes ? engine.id : NOWHERE }
}
