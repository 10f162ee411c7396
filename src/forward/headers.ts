// Which headers travel: everything but what belongs to one connection, and keys never cross from one side to the other.
import type { HeaderList, WorkerRef } from '../host.ts'
import { Refusal } from '../openai/errors.ts'
import { isNamed, NameList } from './names.ts'

/** RFC 9110 §7.6.1, and what the sender of the next hop makes itself. */
const NEVER_SENT = new NameList([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
  'expect',
  // Engines are asked not to compress: some runtimes decode behind our back, and tunnels compress again.
  'accept-encoding',
])

const KEYS = new NameList(['authorization', 'x-api-key'])

/** vLLM's, and of SGLang since 0.5.10. */
const RANK = 'x-data-parallel-rank'

export interface ClientHeaders {
  /** Without hop-by-hop headers, request ids and keys. */
  readonly passed: HeaderList
  /** The client's own keys, for workers that have none of their own. Empty when they were meant for the router. */
  readonly keys: HeaderList
}

/** Which of a client's keys are the router's own. */
export interface OwnKeys {
  /** The router checks keys itself, so the client's key is not for the worker. */
  readonly isOurs: boolean
  readonly adminKey?: string | undefined
}

/**
 * Sorts a client's headers. Throws a `Refusal` for a value with a DEL, which no worker would take; not every runtime refuses it, and
 * no worker may be blamed for it.
 */
export function readHeaders(headers: Headers, idName: string, { isOurs, adminKey }: OwnKeys): ClientHeaders {
  const named = connectionNames(headers)
  const passed: string[] = ['accept-encoding', 'identity']
  const keys: string[] = []
  headers.forEach((value, name) => {
    if (NEVER_SENT.has(name) || named?.has(name) || name === idName) return
    if (value.includes('\x7f')) throw new Refusal(400, 'bad_request', `The header ${name} can't be sent.`)
    if (!KEYS.has(name)) passed.push(name, value)
    else if (!isOurs && (adminKey === undefined || !value.includes(adminKey))) keys.push(name, value)
  })
  return { passed, keys }
}

function connectionNames(headers: Headers): Set<string> | null {
  const connection = headers.get('connection')
  if (connection === null || connection === 'keep-alive' || connection === 'close') return null
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
}

/** The headers of one attempt: the client's, the worker's own key and extras, its rank, and the request's ids. */
export function headersFor(worker: WorkerRef, client: ClientHeaders, ids: HeaderList): string[] {
  let { passed, keys } = client
  if (worker.headers !== undefined) {
    const names = new Set(Object.keys(worker.headers).map((name) => name.toLowerCase()))
    passed = without(passed, names)
    keys = without(keys, names)
  }
  const headers: string[] = []
  add(headers, worker.rank === undefined ? passed : withoutHeader(passed, RANK))
  add(headers, ids)
  if (worker.rank !== undefined) headers.push(RANK, String(worker.rank))
  if (worker.apiKey !== undefined) headers.push('authorization', `Bearer ${worker.apiKey}`)
  else add(headers, keys)
  if (worker.headers !== undefined)
    for (const [name, value] of Object.entries(worker.headers)) headers.push(name.toLowerCase(), value)
  return headers
}

/** Spreading a list into `push` would go through its iterator. */
function add(headers: string[], more: HeaderList): void {
  for (let i = 0; i < more.length; i++) headers.push(more[i] as string)
}

/** An engine's headers for the client, with ours in place of its own of the same names. */
export function answerHeaders(engine: HeaderList, ours: HeaderList): string[] {
  const headers: string[] = []
  for (let i = 0; i < engine.length; i += 2) {
    const name = engine[i] as string
    if (!isOurs(name, ours)) headers.push(name, engine[i + 1] as string)
  }
  add(headers, ours)
  return headers
}

/** Redirects to the worker itself become relative ones: where workers are is not for clients, and they could not go there. */
export function hideOrigin(headers: HeaderList, workerUrl: string): HeaderList {
  if (!URL.canParse(workerUrl)) return headers
  const worker = new URL(workerUrl)
  const base = worker.pathname.replace(/\/$/, '')
  return headers.map((value, i) => {
    const isPlace = i % 2 === 1 && (headers[i - 1] as string).toLowerCase() === 'location'
    const place = isPlace && URL.canParse(value) ? new URL(value) : null
    if (!place || place.host !== worker.host) return value
    const path = place.pathname.startsWith(`${base}/`) ? place.pathname.slice(base.length) : place.pathname
    return path + place.search + place.hash
  })
}

function isOurs(name: string, ours: HeaderList): boolean {
  for (let i = 0; i < ours.length; i += 2) if (isNamed(name, ours[i] as string)) return true
  return false
}

function without(headers: HeaderList, names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (!names.has(headers[i] as string)) kept.push(headers[i] as string, headers[i + 1] as string)
  }
  return kept
}

/** All but one header, whose lower-case name is given. */
export function withoutHeader(headers: HeaderList, name: string): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const one = headers[i] as string
    if (!isNamed(one, name)) kept.push(one, headers[i + 1] as string)
  }
  return kept
}

/** A header's value, names compared without case; undefined when absent. */
export function headerOf(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (isNamed(headers[i] as string, name)) return headers[i + 1]
  }
  return undefined
}

/** Whether an answer with these headers is a stream of events. */
export function isEventStream(headers: readonly string[]): boolean {
  return headerOf(headers, 'content-type')?.startsWith('text/event-stream') ?? false
}

/** Retry-After in ms: seconds, or an HTTP date; undefined when absent or unreadable. */
export function retryAfterOf(headers: HeaderList, now: number): number | undefined {
  const text = headerOf(headers, 'retry-after')
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000)
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
