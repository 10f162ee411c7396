// The parsed inference request: what the router must know of it. The bytes stay as they came.
import type { Caller } from '../admission/auth.ts'
import { readBody, takeBody, type HeldBody } from '../admission/body.ts'
import type { Core } from '../core.ts'
import type { ClientHeaders } from '../forward/headers.ts'
import type { HeaderList, Signal, Watch } from '../host.ts'
import type { Endpoint } from './endpoints.ts'
import { headOf, newIdOf, type HeadFacts } from './head.ts'
import { checkReach } from './reach.ts'
import { formOf, read, unreadable, type CallBody, type Reading } from './reading.ts'
import { bitsOf } from './key-bits.ts'
import type { TopLevel } from './scan.ts'
import type { Shape } from './shapes.ts'
import { targetOf, type Target } from './target.ts'

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
  /** As the configured headers tell it, then `session_id`, then `user`. */
  readonly session: string | null
  readonly priority: number
  /** A guess of the prompt's tokens. */
  readonly tokens: number
  /** Id of a stored response or conversation that it builds on. */
  readonly builtOn: string | null
  readonly makesState: boolean
  /** Chained hashes of its prompt, where a dialect cuts it in a way of its own. */
  readonly chunks?: Float64Array
  /** Ids of workers that are known to hold most of its prompt. */
  readonly prefers?: readonly string[]
  /** Id of the only worker that it may go to, where the client named one. */
  readonly pin?: string
  /** One worker does all of it, though others work in pairs. */
  readonly isWhole?: boolean
  readonly body: CallBody
  readonly headers: ClientHeaders
  /** The request's id under each of its names, for the worker. */
  readonly ids: HeaderList
  readonly signal: Signal
  readonly startedAt: number
  /** Puts something around what looks at its answer, which has that status. */
  readonly tap?: (inner: Watch, status: number) => Watch
  /** Gives the body's bytes back to the budget; harmless when repeated. */
  readonly release: () => void
}

/** Bytes of a prompt that make a token, until usage tells better. */
const BYTES_PER_TOKEN = 4

/** What is known of a request before its body is read. */
interface Head {
  readonly request: Request
  readonly endpoint: Endpoint
  readonly caller: Caller
  readonly signal: Signal
  readonly startedAt: number
  readonly target: Target
  readonly requestId: string
  readonly facts: HeadFacts
}

/** Reads a request; a promise only where its body has not come yet. Throws a `Refusal` when it can't be read. */
export function readCall(
  core: Core,
  request: Request,
  endpoint: Endpoint,
  who: { caller: Caller; signal: Signal },
): Call | Promise<Call> {
  const head = readHead(core, request, endpoint, who)
  const form = formOf(core, request, { endpoint, facts: head.facts })
  const held = form === null ? takeBody(request, core.buffers, core.config) : null
  if (held === null || core.surface?.hear) return readLater(core, head, form ?? held)
  return callOf(core, head, read(held, request, endpoint, null))
}

async function readLater(
  core: Core,
  head: Head,
  came: Reading | Promise<Reading> | HeldBody | null,
): Promise<Call> {
  const { request, endpoint } = head
  came ??= await readBody(request, core.buffers, core.config, core.host)
  const reading = 'bytes' in came ? read(came, request, endpoint, null) : await came
  const call = callOf(core, head, reading)
  try {
    return core.surface?.hear ? await core.surface.hear(call, request, core) : call
  } catch (error) {
    reading.release()
    throw unreadable(error)
  }
}

function readHead(
  core: Core,
  request: Request,
  endpoint: Endpoint,
  { caller, signal }: { caller: Caller; signal: Signal },
): Head {
  const startedAt = core.host.now()
  const target = targetOf(request.url)
  // A path of the list is one without surprises.
  if (endpoint.name !== target.path) checkReach(request.method, target.pathname)
  const facts = headOf(core, request)
  const requestId = facts.requestId ?? newIdOf(core)
  return { request, endpoint, caller, signal, startedAt, target, requestId, facts }
}

/** Gives the body back when it makes no sense. */
function callOf(core: Core, head: Head, reading: Reading): Call {
  try {
    return callFrom(core, head, reading)
  } catch (error) {
    reading.release()
    throw unreadable(error)
  }
}

function callFrom(core: Core, head: Head, reading: Reading): Call {
  const { request, endpoint, caller, signal, startedAt, target, requestId, facts } = head
  const { method } = request
  const top = reading.body.kind === 'json' ? reading.body.top : null
  return {
    id: core.ids.decision(),
    requestId,
    endpoint,
    shape: target.shape,
    method,
    path: target.path,
    model: reading.model,
    isStream: reading.isStream,
    session: facts.session ?? (top?.string('session_id') || top?.string('user') || null),
    priority: priorityFor(caller, facts, top),
    tokens: Math.ceil(reading.size / BYTES_PER_TOKEN),
    builtOn: endpoint.builtOn ?? (top ? builtOn(top) : null),
    makesState: method === 'POST' && (endpoint.makesState === true || top?.boolean('background') === true),
    body: reading.body,
    headers: facts.headers,
    ids: [facts.idName, requestId],
    signal,
    startedAt,
    release: reading.release,
  }
}

const STATE_BITS = bitsOf(['previous_response_id', 'conversation'])

function builtOn(top: TopLevel): string | null {
  if (!top.mayHave(STATE_BITS)) return null
  const previous = top.string('previous_response_id')
  if (previous !== null) return previous
  if (top.kind('conversation') === 'object') {
    const { id } = top.json('conversation') as { id?: unknown }
    return typeof id === 'string' ? id : null
  }
  return top.string('conversation')
}

/** As asked for by header or body, but never before the place that the caller's key has. */
function priorityFor(caller: Caller, { priority }: HeadFacts, top: TopLevel | null): number {
  const asked = priority ?? top?.number('priority')
  const wanted = typeof asked === 'number' && Number.isFinite(asked) ? asked : caller.priority
  return caller.priority === null ? (wanted ?? 0) : Math.max(caller.priority, wanted ?? 0)
}

/** A part of a path without its percent encoding; as it came when that is broken. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
