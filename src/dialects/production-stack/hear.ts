// What production-stack takes of a call before it is let in: its model, its session, and a form as it sends it on.
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'
import { Refusal } from '../../openai/errors.ts'
import { uuidOf } from '../gateway/fleet.ts'
import { withId } from '../gateway/ids.ts'
import { MODEL_WORDS } from './answers.ts'
import { chunksOf } from './chunks.ts'
import { optionsOf } from './options.ts'

/** The call with its session and an id that is a UUID. Throws a `Refusal` for one without a model. */
export function hear(call: Call, { headers }: Request, core: Core): Call {
  const { sessionKey, routing } = optionsOf(core).live
  const session =
    routing === 'session' && sessionKey !== undefined ? sessionOf(call, headers, sessionKey) : null
  if (call.model === null && call.body.kind !== 'stream') throw new Refusal(400, 'missing_model', MODEL_WORDS)
  const given = headers.get('x-request-id')
  const named = given ? call : withId(call, uuidOf(core.nextId()))
  if (routing !== 'prefixaware' || call.body.kind !== 'json') return { ...named, session }
  const model = call.model ?? ''
  const { aliases } = core.config
  const chunks = chunksOf(call.body.top, Object.hasOwn(aliases, model) ? (aliases[model] as string) : model)
  return { ...named, session, ...(chunks && { chunks }) }
}

/** The header, else the field of the body, as Python's `str` writes it. */
function sessionOf({ body }: Call, headers: Headers, key: string): string | null {
  const header = isHeaderName(key) ? headers.get(key) : null
  if (header) return header
  if (body.kind !== 'json') return null
  const kind = body.top.kind(key)
  if (kind === null || kind === 'null') return null
  if (kind === 'string') return body.top.string(key) || null
  const text = body.top.raw(key)
  return kind === 'boolean' ? (text === 'true' ? 'True' : 'False') : text
}

const isHeaderName = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)
