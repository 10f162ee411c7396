// production-stack's list of models.
import type { Core } from '../../core.ts'
import { listedEngines } from './engines.ts'

/** `GET /v1/models`: each model once; aliases are not among them. */
export async function listModels(core: Core): Promise<object> {
  const engines = await listedEngines(core)
  const created = Math.floor(core.host.now() / 1000)
  const names = new Set(engines.flatMap(({ models }) => models))
  const { models } = await core.models.refresh()
  const facts = new Map(models.map((model) => [model.id, model]))
  const data = [...names].map((id) => {
    const known = facts.get(id)
    return {
      id,
      object: 'model',
      created,
      owned_by: 'vllm',
      root: null,
      parent: known?.parent ?? null,
      ...(known?.maxModelLength && { max_model_len: known.maxModelLength }),
    }
  })
  for (const { id, ownedBy } of core.extensions?.models() ?? [])
    if (!names.has(id))
      data.push({ id, object: 'model', created, owned_by: ownedBy, root: null, parent: null })
  return { object: 'list', data }
}

/** The model that a name stands for. */
export function modelNamed({ config: { aliases } }: Pick<Core, 'config'>, name: string): string {
  return Object.hasOwn(aliases, name) ? (aliases[name] as string) : name
}

/** Models that pods have served: without any they are unavailable, and not unknown. */
export class Seen {
  readonly #names = new Set<string>()
  #version = -1

  /** Takes note of those that there are now. */
  learn({ models: { directory } }: Core): void {
    if (directory.version === this.#version) return
    this.#version = directory.version
    for (const { id } of directory.models) this.#names.add(id)
  }

  /** False where services are found and not pods: there nothing is remembered. */
  has({ config }: Core, model: string): boolean {
    const follows = config.discover.includes('kubernetes') && config.kubernetesTarget === 'pods'
    return follows && this.#names.has(model)
  }
}
