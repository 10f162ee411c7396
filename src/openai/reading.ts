// Reads the body of an inference request as far as the router must know it. The bytes stay as they came.
import { checkSize, lengthOf, readBody, type HeldBody } from '../admission/body.ts'
import type { Core } from '../core.ts'
import type { Endpoint } from './endpoints.ts'
import { Refusal } from './errors.ts'
import type { HeadFacts } from './head.ts'
import { readMultipart, streamMultipart } from './form.ts'
import { kindOf, scanTop, type TopLevel } from './scan.ts'
import { BodyError } from './skip.ts'

/** A body as it came. `json`, `form` and `raw` are in memory and can be sent again; a `stream` is sent once. */
export type CallBody =
  | { readonly kind: 'json'; readonly bytes: Uint8Array; readonly top: TopLevel }
  | { readonly kind: 'form'; readonly bytes: Uint8Array; readonly boundary: string }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | { readonly kind: 'stream'; readonly stream: ReadableStream<Uint8Array> }
  | { readonly kind: 'none' }

/** What a body tells of a call. */
export interface Reading {
  readonly body: CallBody
  readonly model: string | null
  readonly isStream: boolean
  readonly release: () => void
  readonly size: number
}

/** The reading of a request that is no body to hold: a form, or nothing at all. Null: its body has to be read. */
export function formOf(
  core: Core,
  request: Request,
  {
    endpoint,
    facts: { encoding, type },
  }: { endpoint: Endpoint; facts: Pick<HeadFacts, 'encoding' | 'type'> },
): Reading | Promise<Reading> | null {
  if (encoding !== null && encoding !== 'identity') {
    throw new Refusal(
      415,
      'unsupported_encoding',
      `Send the body without content-encoding: ${encoding} is not read here.`,
    )
  }
  if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'DELETE') {
    if (!lengthOf(request.headers)) return nothing(request)
  }
  return isMultipart(type) ? readForm(core, request, endpoint, type) : null
}

const isMultipart = (type: string): boolean =>
  type !== 'application/json' && /^multipart\/form-data/i.test(type)

async function readForm(core: Core, request: Request, endpoint: Endpoint, type: string): Promise<Reading> {
  let source = request
  if (endpoint.body !== 'json') {
    const length = lengthOf(request.headers) ?? 0
    checkSize(length, core.config)
    if (length > MAX_HELD_FORM) {
      const streamed = await streamMultipart(request, type)
      if (streamed.model !== null || streamed.body.kind !== 'stream') return streamed
      // Its model comes later, and tells which worker it is for: it has to be held.
      source = { headers: request.headers, body: streamed.body.stream } as Request
    }
  }
  const held = await readBody(source, core.buffers, core.config, core.host)
  return read(held, request, endpoint, type)
}

/** What a body tells; `form`: the type of one that is a form. It is given back to the budget when it makes no sense. */
export function read(held: HeldBody, request: Request, endpoint: Endpoint, form: string | null): Reading {
  try {
    if (form !== null) return readMultipart(held, form, request)
    if (held.bytes.length === 0) return emptyBody(request, held)
    const mayBeOther = endpoint.body === 'any' && !/json/i.test(request.headers.get('content-type') ?? '')
    return mayBeOther ? readAny(held, request) : readJson(held)
  } catch (error) {
    held.release()
    throw unreadable(error)
  }
}

/** Forms up to this size are kept in memory, so that another worker can be tried. */
const MAX_HELD_FORM = 25_000_000

/** JSON that does not say so, or something that only the worker understands. */
function readAny(held: HeldBody, request: Request): Reading {
  try {
    return readJson(held)
  } catch (error) {
    if (!(error instanceof BodyError)) throw error
    const { model } = nothing(request)
    return {
      body: { kind: 'raw', bytes: held.bytes },
      model,
      isStream: false,
      release: held.release,
      size: 0,
    }
  }
}

function readJson(held: HeldBody): Reading {
  const top = scanTop(held.bytes)
  return {
    body: { kind: 'json', bytes: held.bytes, top },
    model: modelOf(top),
    isStream: top.boolean('stream') === true,
    release: held.release,
    size: held.bytes.length,
  }
}

function modelOf(top: TopLevel): string | null {
  const index = top.lastIndex('model')
  if (index < 0) return null
  const kind = kindOf(top.bytes[top.startAt(index)]!)
  if (kind === 'null') return null
  if (kind !== 'string')
    throw new Refusal(
      400,
      'invalid_model',
      `"model" must be a string, not ${kind === 'object' || kind === 'array' ? 'an' : 'a'} ${kind}.`,
    )
  return top.stringAt(index)
}

function emptyBody(request: Request, held: HeldBody): Reading {
  if (request.method === 'POST' && new URL(request.url).pathname.startsWith('/v1/chat')) {
    throw new Refusal(400, 'empty_body', 'The request has no body: send JSON with "model" and "messages".')
  }
  return { ...nothing(request), release: held.release }
}

function nothing(request: Request): Reading {
  const model = new URL(request.url).searchParams.get('model')
  return { body: { kind: 'none' }, model, isStream: false, release() {}, size: 0 }
}

/** What a client is told of a body that is no JSON; any other error as it is. */
export function unreadable(error: unknown): unknown {
  if (!(error instanceof BodyError)) return error
  return new Refusal(400, 'invalid_json', `The request body is not valid JSON: ${error.message}.`)
}
