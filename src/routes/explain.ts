// Why a call went where it went, where one would go, and what another policy would do: decisions, explain, shadow.
import { admit } from '../admission/admit.ts'
import { ANYBODY, authenticate, type Caller } from '../admission/auth.ts'
import { readBody } from '../admission/body.ts'
import type { Core } from '../core.ts'
import { readCall } from '../openai/call.ts'
import { pathname } from '../openai/target.ts'
import { endpoints, OTHER, type Endpoint } from '../openai/endpoints.ts'
import { Refusal, quoted } from '../openai/errors.ts'
import { scanTop, type TopLevel } from '../openai/scan.ts'
import { BodyError } from '../openai/skip.ts'
import { json } from './reply.ts'

/** GET decisions/{id}: what one call's workers were chosen by, attempt by attempt. */
export async function showDecision(core: Core, id: string): Promise<Response> {
  const decision = await core.host.pool('main').decision(id)
  if (decision !== null) return json(decision)
  const { decisions } = core.config
  const why =
    decisions > 0
      ? `the newest ${decisions} are kept, in memory alone (--decisions N keeps more)`
      : 'none are kept (--decisions 0)'
  throw new Refusal(404, 'decision_not_found', `There is no decision ${quoted(id)}: ${why}.`)
}

/** GET shadow: what the shadow policy would have done with the calls so far, beside what was done. */
export async function showShadow(core: Core): Promise<Response> {
  const shadow = await core.host.pool('main').shadow()
  if (shadow !== null) return json(shadow)
  throw new Refusal(
    404,
    'no_shadow_policy',
    'No shadow policy decides here: name one (--shadow-policy NAME).',
  )
}

/**
 * POST explain: a dry run. The body is an inference request as it would be sent, for the path in `?path=` (else the one that the
 * body looks like), or `{path, headers?, body}`. It is read and admitted as a call is, and refused as one would be; no limit is
 * used up, no worker is asked, and the pool stays as it is.
 */
export async function explain(core: Core, request: Request): Promise<Response> {
  const held = await readBody(request, core.buffers, core.config, core.host)
  try {
    const asked = readAsked(request, held.bytes)
    const endpoint = endpointOf(asked.path)
    const caller = callerOf(core, request)
    const call = await readCall(core, requestOf(asked), endpoint, { caller, signal: request.signal })
    try {
      const { ask } = await admit(core, { ...call, builtOn: null }, caller)
      const pool = core.host.pool('main')
      const pin = call.builtOn === null ? null : await pool.holder(call.builtOn)
      return json(await pool.explain({ ...ask, pin }))
    } finally {
      call.release()
    }
  } finally {
    held.release()
  }
}

/** The request that is asked about. */
interface Asked {
  /** Path and query. */
  readonly path: string
  readonly headers: Headers
  readonly body: Uint8Array
}

function readAsked(request: Request, bytes: Uint8Array): Asked {
  const headers = new Headers([...request.headers].filter(([name]) => name !== 'content-length'))
  const top = topOf(bytes)
  const path = new URL(request.url).searchParams.get('path')
  const isWrapped = path === null ? top?.has('path') : top?.kind('body') === 'object'
  if (top?.has('body') && isWrapped) return readWrapped(top, path, headers)
  return { path: path ?? pathLike(top), headers, body: bytes }
}

function readWrapped(top: TopLevel, given: string | null, headers: Headers): Asked {
  const { start, end } = top.span('body') as { start: number; end: number }
  const body = top.bytes.subarray(start, end)
  for (const [key, kind] of [
    ['path', 'string'],
    ['headers', 'object'],
  ] as const)
    if (top.has(key) && top.kind(key) !== kind && top.kind(key) !== 'null')
      throw new Refusal(
        400,
        'invalid_question',
        `"${key}" must be ${kind === 'string' ? 'a' : 'an'} ${kind}.`,
      )
  const more = top.kind('headers') === 'object' ? top.json('headers') : {}
  for (const [name, value] of Object.entries(more as Record<string, unknown>)) {
    if (typeof value !== 'string' || !HEADER_NAME.test(name) || /[^\t\x20-\xff]/.test(value))
      throw new Refusal(400, 'invalid_header', `The header ${quoted(name)} can't be sent.`)
    if (!OWN.has(name.toLowerCase())) headers.set(name, value)
  }
  return { path: given ?? top.string('path') ?? pathLike(topOf(body)), headers, body }
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What belongs to the request for the explanation. */
const OWN = new Set(['content-length', 'authorization', 'host'])

/** The API that a bare body speaks. */
function pathLike(top: TopLevel | null): string {
  if (top === null || top.has('messages')) return '/v1/chat/completions'
  if (top.has('prompt')) return '/v1/completions'
  if (top.has('input')) return '/v1/responses'
  return top.has('text') || top.has('input_ids') ? '/generate' : '/v1/chat/completions'
}

function topOf(bytes: Uint8Array): TopLevel | null {
  try {
    return scanTop(bytes)
  } catch (error) {
    // A form, or what the reading of the call will complain about.
    if (error instanceof BodyError) return null
    throw error
  }
}

function endpointOf(path: string): Endpoint {
  const known = endpoints.get(pathname(path))
  if (known) return known
  if (pathname(path).startsWith('/v1/')) return OTHER
  throw new Refusal(404, 'not_found', `No inference is served at ${quoted(path)}: give its path in ?path=.`)
}

/** A client's key may come along to be admitted by; whoever may explain needs none. Its allowance is left alone. */
function callerOf({ config }: Core, { headers }: Request): Caller {
  const key = headers.get('x-api-key')
  const caller = key === null ? ANYBODY : authenticate(config, new Headers({ 'x-api-key': key }))
  return { ...caller, allowance: null }
}

const requestOf = ({ path, headers, body }: Asked): Request =>
  new Request(`http://explain${path}`, { method: 'POST', headers, body: body as Uint8Array<ArrayBuffer> })
