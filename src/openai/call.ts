// The parsed inference request: what the router must know of it. The bytes stay as they came.
import { checkSize, lengthOf, readBody, type HeldBody } from '../admission/body.ts'
import type { Caller } from '../admission/auth.ts'
import type { Core } from '../core.ts'
import { readHeaders, type ClientHeaders } from '../forward/headers.ts'
import type { HeaderList } from '../host.ts'
import type { Endpoint } from './endpoints.ts'
import { Refusal } from './errors.ts'
import { readMultipart, streamMultipart } from './form.ts'
import { checkReach } from './reach.ts'
import { BodyError, scanTop, type TopLevel } from './scan.ts'
import { shapeOf, type Shape } from './shapes.ts'

/** A body as it came. `json`, `form` and `raw` are in memory and can be sent again; a `stream` is sent once. */
export type CallBody =
  | { readonly kind: 'json'; readonly bytes: Uint8Array; readonly top: TopLevel }
  | { readonly kind: 'form'; readonly bytes: Uint8Array; readonly boundary: string }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | { readonly kind: 'stream'; readonly stream: ReadableStream<Uint8Array> }
  | { readonly kind: 'none' }

export interface Call {
  /** Names the call between router and pool, and the decision to the client. */
  readonly id: string
  readonly requestId: string
  readonly endpoint: Endpoint
  readonly shape: Shape
  readonly method: string
  /** Path and query, as the client sent them. */
  readonly path: string
  /** The model that the client named, or null. */
  readonly model: string | null
  readonly isStream: boolean
  readonly session: string | null
  readonly priority: number
  /** A guess of the prompt's tokens. */
  readonly tokens: number
  /** Id of a stored response or conversation that it builds on. */
  readonly builtOn: string | null
  readonly makesState: boolean
  /** Id of the only worker that it may go to, where the client named one. */
  readonly pin?: string
  readonly body: CallBody
  readonly headers: ClientHeaders
  /** The request's id under each of its names, for the worker. */
  readonly ids: HeaderList
  readonly signal: AbortSignal
  readonly startedAt: number
  /** Gives the body's bytes back to the budget; harmless when repeated. */
  readonly release: () => void
}

/** What a body tells of a call. */
export interface Reading {
  readonly body: CallBody
  readonly model: string | null
  readonly isStream: boolean
  readonly release: () => void
  readonly size: number
}

/** Bytes of a prompt that make a token, until usage tells better. */
const BYTES_PER_TOKEN = 4

/** Reads a request. Throws a `Refusal` when its body can't be read. */
export async function readCall(
  core: Core,
  request: Request,
  endpoint: Endpoint,
  { caller, signal }: { caller: Caller; signal: AbortSignal },
): Promise<Call> {
  const { config, host } = core
  const startedAt = host.now()
  const path = pathOf(request.url)
  // A path of the list is one without surprises.
  if (endpoint.name !== path) checkReach(request.method, pathname(path))
  const requestId = requestIdOf(request.headers, core)
  const idName = idNameOf(core)
  const headers = readHeaders(request.headers, idName, {
    isOurs: config.apiKeys.length > 0 || config.apiKeyValidationUrls.length > 0,
    adminKey: config.adminKey,
  })
  const reading = await readForm(core, request, endpoint)
  const top = reading.body.kind === 'json' ? reading.body.top : null
  try {
    const call: Call = {
      id: `d-${core.nextId()}`,
      requestId,
      endpoint,
      shape: shapeOf(pathname(path)),
      method: request.method,
      path,
      model: reading.model,
      isStream: reading.isStream,
      session: sessionOf(core, request.headers, top),
      priority: priorityFor(caller, request.headers, top),
      tokens: Math.ceil(reading.size / BYTES_PER_TOKEN),
      builtOn: endpoint.builtOn ?? (top ? builtOn(top) : null),
      makesState:
        request.method === 'POST' && (endpoint.makesState === true || top?.boolean('background') === true),
      body: reading.body,
      headers,
      ids: [idName, requestId],
      signal,
      startedAt,
      release: reading.release,
    }
    return core.surface?.hear ? await core.surface.hear(call, request, core) : call
  } catch (error) {
    reading.release()
    throw unreadable(error)
  }
}

async function readForm(core: Core, request: Request, endpoint: Endpoint): Promise<Reading> {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity') {
    throw new Refusal(
      415,
      'unsupported_encoding',
      `Send the body without content-encoding: ${encoding} is not read here.`,
    )
  }
  const type = request.headers.get('content-type') ?? ''
  if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'DELETE') {
    if (!lengthOf(request.headers)) return nothing(request)
  }
  const isForm = type.toLowerCase().startsWith('multipart/form-data')
  let source = request
  if (isForm && endpoint.body !== 'json') {
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
  try {
    if (isForm) return readMultipart(held, type, request)
    if (held.bytes.length === 0) return emptyBody(request, held)
    return endpoint.body === 'any' && !/json/i.test(type) ? readAny(held, request) : readJson(held)
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
  const kind = top.kind('model')
  if (kind === null || kind === 'null') return null
  if (kind !== 'string')
    throw new Refusal(
      400,
      'invalid_model',
      `"model" must be a string, not ${kind === 'object' || kind === 'array' ? 'an' : 'a'} ${kind}.`,
    )
  return top.string('model')
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

function unreadable(error: unknown): unknown {
  if (!(error instanceof BodyError)) return error
  return new Refusal(400, 'invalid_json', `The request body is not valid JSON: ${error.message}.`)
}

function builtOn(top: TopLevel): string | null {
  const previous = top.string('previous_response_id')
  if (previous !== null) return previous
  if (top.kind('conversation') === 'object') {
    const { id } = top.json('conversation') as { id?: unknown }
    return typeof id === 'string' ? id : null
  }
  return top.string('conversation')
}

/** The configured headers, then `session_id`, then `user`; null when the client sent none. */
function sessionOf(core: Core, headers: Headers, top: TopLevel | null): string | null {
  for (const name of core.config.sessionHeaders) {
    const value = headers.get(name)
    if (value) return value
  }
  return top?.string('session_id') || top?.string('user') || null
}

/** As asked for by header or body, but never before the place that the caller's key has. */
function priorityFor(caller: Caller, headers: Headers, top: TopLevel | null): number {
  const header = headers.get('x-priority')
  const asked = header !== null ? Number(header) : top?.number('priority')
  const wanted = typeof asked === 'number' && Number.isFinite(asked) ? asked : caller.priority
  return caller.priority === null ? (wanted ?? 0) : Math.max(caller.priority, wanted ?? 0)
}

/** The header that carries the request's id to the worker and back. */
export const idNameOf = ({
  config,
  surface,
}: Pick<Core, 'config'> & Partial<Pick<Core, 'surface'>>): string =>
  surface?.idName ?? config.requestIdHeaders[0] ?? 'x-request-id'

/** The id that the client gave under one of the names, or a new one. An id that could not travel in a header is replaced. */
export function requestIdOf(headers: Headers, { config, nextId }: Pick<Core, 'config' | 'nextId'>): string {
  for (const name of config.requestIdHeaders) {
    const value = headers.get(name)
    if (value && value.length <= 256) return value
  }
  return `req-${nextId()}`
}

/** Path and query of an absolute URL, the very characters that came. */
export function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return start < 0 ? '/' : url.slice(start)
}

export function pathname(path: string): string {
  const query = path.indexOf('?')
  return query < 0 ? path : path.slice(0, query)
}

/** A part of a path without its percent encoding; as it came when that is broken. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
