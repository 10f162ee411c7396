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
    data.push({ id, object: 'model', created, owned_by: ownedBy, root: null, parent: null })
  return { object: 'list', data }
}
