// The way to the files and batches that the router keeps itself: who asks, and for what.
import { authenticate, keyOf } from '../admission/auth.ts'
import type { Core } from '../core.ts'
import { hashText } from '../hash.ts'
import { decoded } from '../openai/call.ts'
import { Refusal } from '../openai/errors.ts'
import { batches } from './batches.ts'
import { files } from './files.ts'
import type { Manner } from './kept.ts'

const OPENAI: Manner = {
  digits: 24,
  inputPurpose: 'batch',
  deletesBatches: false,
  file: (file) => file,
  batch: (batch) => batch,
}

const PATH = /^\/v1\/(files|batches)(?:\/([^/]+)(?:\/([^/]+))?)?\/?$/

/** Whether the router answers that path itself. */
export const isKept = ({ config }: Core, path: string): boolean =>
  config.batches && /^\/v1\/(?:files|batches)(?:\/|$)/.test(path)

/** Answers what is kept. Throws a `Refusal`. */
export async function kept(core: Core, request: Request, path: string, manner = OPENAI): Promise<Response> {
  const owner = ownerOf(core, request.headers)
  const home = core.host.batches?.('main')
  if (!home)
    throw new Refusal(501, 'batches_unavailable', 'This runtime has nothing to keep files and batches in.')
  const [, kind, id = '', rest = ''] = PATH.exec(path) ?? []
  if (kind === undefined) throw new Refusal(404, 'not_found', 'There is nothing at this path.')
  const answer = kind === 'files' ? files : batches
  return answer(core, request, { batches: home, owner, id: decoded(id), rest, manner })
}

/** The tenant; of keys that others vouch for, each is one of its own, in a second line. Throws 401. */
function ownerOf({ config }: Core, headers: Headers): string {
  const { tenant } = authenticate(config, headers)
  const key = config.apiKeyValidationUrls.length > 0 ? keyOf(headers) : null
  return key === null ? tenant : `${tenant}\n${hashText(key).toString(36)}`
}
