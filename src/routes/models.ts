// GET /v1/models: one entry per model over all workers, whether they are up or not; adapters and aliases too.
import { authenticate } from '../admission/auth.ts'
import type { ModelEntry } from '../actors/members.ts'
import type { Core } from '../core.ts'
import { decoded } from '../openai/call.ts'
import { Refusal, quoted } from '../openai/errors.ts'
import { json } from './reply.ts'

interface Listed {
  readonly id: string
  readonly object: 'model'
  readonly created: number
  readonly owned_by: string
  readonly root: string
  readonly parent: string | null
  readonly max_model_len?: number
}

/** GET /v1/models: what the workers serve, and aliases of it. */
export async function listModels(core: Core, request: Request): Promise<Response> {
  authenticate(core.config, request.headers)
  return json({ object: 'list', data: await listed(core) })
}

/** One model; ids may hold slashes. */
export async function showModel(core: Core, request: Request, id: string): Promise<Response> {
  authenticate(core.config, request.headers)
  const name = decoded(id)
  const found = (await listed(core)).find((model) => model.id === name)
  if (!found) {
    throw new Refusal(
      404,
      'model_not_found',
      `The model ${quoted(name)} does not exist here: GET /v1/models lists them.`,
    )
  }
  return json(found)
}

async function listed(core: Core): Promise<Listed[]> {
  let directory = await core.models.refresh()
  if (directory.pending > 0) {
    await core.host.registry('main').settled()
    directory = await core.models.refresh()
  }
  const models = directory.models.map((model) => entryOf(model, model.id))
  for (const [alias, name] of Object.entries(core.config.aliases)) {
    const model = directory.models.find((entry) => entry.id === name)
    if (model && !models.some((entry) => entry.id === alias)) models.push(entryOf(model, alias))
  }
  const created = Math.floor(core.host.now() / 1000)
  for (const { id, ownedBy } of core.extensions?.models() ?? []) {
    if (models.some((model) => model.id === id)) continue
    models.push({ id, object: 'model', created, owned_by: ownedBy, root: id, parent: null })
  }
  return models
}

function entryOf(model: ModelEntry, id: string): Listed {
  return {
    id,
    object: 'model',
    created: Math.floor(model.createdAt / 1000),
    owned_by: model.engines[0] ?? 'unknown',
    root: model.root ?? model.id,
    parent: model.parent ?? null,
    ...(model.maxModelLength && { max_model_len: model.maxModelLength }),
  }
}
