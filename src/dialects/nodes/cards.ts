// The model list of DLRouter and LMDeploy's proxy: cards with permissions, one for each model.
import type { Core } from '../../core.ts'

const LETTERS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** `owner`: who is said to own them. */
export async function cards(core: Core, owner: string): Promise<object> {
  const { models } = await core.models.refresh()
  const created = Math.floor(core.host.now() / 1000)
  const names = [...models.map(({ id }) => id), ...Object.keys(core.config.aliases)]
  const data = [...new Set(names)].map((id) => ({
    id,
    object: 'model',
    created,
    owned_by: owner,
    root: id,
    parent: null,
    permission: [{ id: `modelperm-${shortId(core)}`, ...PERMISSION, created }],
  }))
  return { object: 'list', data }
}

const PERMISSION = {
  object: 'model_permission',
  created: 0,
  allow_create_engine: false,
  allow_sampling: true,
  allow_logprobs: true,
  allow_search_indices: true,
  allow_view: true,
  allow_fine_tuning: false,
  organization: '*',
  group: null,
  is_blocking: false,
}

const shortId = ({ host }: Core): string =>
  Array.from({ length: 22 }, () => LETTERS[Math.floor(host.random() * LETTERS.length)]).join('')
