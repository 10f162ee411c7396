// Around the corridor: counts the call while it lives, keeps a waiting stream awake, and tells errors in the API's shape.
import type { Core } from '../core.ts'
import { refuseFor } from '../dialects/speak.ts'
import { infer, type Asking } from '../infer.ts'
import { ClientLeft, leavingOf } from '../forward/left.ts'
import { awake } from '../forward/awake.ts'
import type { Signal } from '../host.ts'
import type { Call } from '../openai/call.ts'
import { requestIdOf } from '../openai/head.ts'
import type { Endpoint } from '../openai/endpoints.ts'
import type { CallOutcome } from '../metrics/instruments.ts'
import { Refusal } from '../openai/errors.ts'
import { Soon, type Waiter } from '../soon.ts'
import { text } from './reply.ts'

/** Answers an inference request; never rejects. */
export function inference(core: Core, request: Request, endpoint: Endpoint): Promise<Response> {
  return answerCall(core, request, endpoint).promise()
}

/** The same without a promise, for who can take the answer in the turn in which it comes. */
export function answerCall(core: Core, request: Request, endpoint: Endpoint): Soon<Response> {
  // A stream that is kept awake has an answer already: its client leaves by cancelling that.
  const leaving = core.config.keepAlive > 0 ? new AbortController() : null
  const signal = leaving ? AbortSignal.any([request.signal, leaving.signal]) : leavingOf(request)
  const asked = new Asked(core, request, endpoint, signal)
  const answer = asked.run()
  if (leaving === null) return answer
  const leave = () => leaving.abort()
  return Soon.of(awake(core, answer.promise(), { callOf: () => asked.call, leave }))
}

/** A call from its request to the head of its answer. */
class Asked implements Asking, Waiter<Response> {
  readonly signal: Signal
  /** Null until it was read. */
  call: Call | null = null
  readonly #core: Core
  readonly #request: Request
  readonly #endpoint: Endpoint
  readonly #answer = new Soon<Response>()

  constructor(core: Core, request: Request, endpoint: Endpoint, signal: Signal) {
    this.signal = signal
    this.#core = core
    this.#request = request
    this.#endpoint = endpoint
  }

  run(): Soon<Response> {
    this.#core.live++
    try {
      infer(this.#core, this.#request, this.#endpoint, this).tell(this)
    } catch (error) {
      this.failed(error)
    }
    return this.#answer
  }

  seen(call: Call): void {
    this.call = call
  }

  came(response: Response): void {
    this.#answer.came(response)
  }

  failed(error: unknown): void {
    const { call } = this
    this.#core.live--
    call?.release()
    let response: Response
    try {
      response = failed(this.#core, this.#request, this.#endpoint, { call, error })
    } catch (worse) {
      return this.#answer.failed(worse)
    }
    this.#answer.came(response)
  }
}

function failed(
  core: Core,
  request: Request,
  endpoint: Endpoint,
  { call, error }: { call: Call | null; error: unknown },
): Response {
  const labels = { endpoint: endpoint.name, model: core.models.known(call?.model ?? null) }
  if (error instanceof ClientLeft || request.signal.aborted) {
    count(core, labels, 499, 'left')
    return text('', 499)
  }
  const refusal = error instanceof Refusal ? error : unexpected(core, error)
  core.instruments.refused(refusal.code)
  count(core, labels, refusal.status, outcomeOf(refusal))
  const { url, method, headers } = request
  const at = { url, method, headers, ...(call && { model: call.model }) }
  const response = refuseFor(core, refusal, at, call?.requestId ?? requestIdOf(request.headers, core))
  core.host.log({
    level: refusal.status >= 500 ? 'warn' : 'debug',
    message: 'call refused',
    code: refusal.code,
    // What the client gets: in place of another router it may be another one than ours.
    status: response.status,
    endpoint: endpoint.name,
    request_id: call?.requestId,
  })
  return response
}

function count(
  core: Core,
  { model, endpoint }: { model: string; endpoint: string },
  status: number,
  outcome: CallOutcome,
): void {
  core.instruments.ended({ model, endpoint, status, outcome })
}

function outcomeOf(refusal: Refusal): CallOutcome {
  if (refusal.code.endsWith('_timeout')) return 'timeout'
  return refusal.code.startsWith('worker_') ? 'upstream_error' : 'refused'
}

function unexpected(core: Core, error: unknown): Refusal {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  core.host.log({ level: 'error', message: 'a call failed inside the router', detail })
  return new Refusal(500, 'internal_error', 'The router failed on this call; its log has the details.')
}
