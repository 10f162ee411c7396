// What production-stack takes of a call before it is let in: its model, its session, and a form as it sends it on.
import type { Core } from '../../core.ts'
import { join } from '../../openai/bytes.ts'
import type { Call } from '../../openai/call.ts'
import { pathname } from '../../openai/target.ts'
import type { CallBody } from '../../openai/reading.ts'
import { Refusal } from '../../openai/errors.ts'
import { readMultipartFields, setMultipartField } from '../../openai/multipart.ts'
import { MODEL_WORDS } from './answers.ts'
import { chunksOf } from './chunks.ts'
import { modelNamed } from './models.ts'
import { optionsOf } from './options.ts'

/** The call with its session. Throws a `Refusal` for one without a model. */
export function hear(call: Call, { headers }: Request, core: Core): Call {
  const { sessionKey, routing } = optionsOf(core).live
  const session = sessionKey === undefined ? null : sessionOf(call, headers, sessionKey)
  if (call.model === null && call.body.kind !== 'stream') throw new Refusal(400, 'missing_model', MODEL_WORDS)
  const body = core.config.strictCompat ? transcribed(call) : call.body
  if (routing !== 'prefixaware' || body.kind !== 'json') return { ...call, session, body }
  const chunks = chunksOf(body.top, modelNamed(core, call.model ?? ''))
  return { ...call, session, body, ...(chunks && { chunks }) }
}

/** A transcription in no language is in English there, and told as JSON. */
function transcribed({ path, body }: Call): CallBody {
  if (pathname(path) !== '/v1/audio/transcriptions' || body.kind !== 'form') return body
  const given = readMultipartFields(body.bytes, body.boundary, Object.keys(SPOKEN))
  let { bytes } = body
  for (const [field, value] of Object.entries(SPOKEN))
    if (given[field] === undefined) bytes = join(setMultipartField(bytes, body.boundary, field, value))
  return { ...body, bytes }
}

const SPOKEN: Readonly<Record<string, string>> = { language: 'en', response_format: 'json' }

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
