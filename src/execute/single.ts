// The plain executor: one request to one worker.
import type { Plan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Stop } from '../forward/stop.ts'
import { Deadline, type Late } from '../forward/deadline.ts'
import { headersFor, isEventStream } from '../forward/headers.ts'
import { nameInBody, nameInHeaders } from '../forward/kv-session.ts'
import { askLoad } from '../forward/load-report.ts'
import { rankInBody } from '../forward/rank.ts'
import {
  UpstreamFailure,
  type Host,
  type Outgoing,
  type OutgoingBody,
  type Upstream,
  type WorkerRef,
} from '../host.ts'
import { Soon, type Waiter } from '../soon.ts'
import type { Attempted, Started } from './attempted.ts'

/** Sends the call and waits for the first byte. Never fails: what went wrong is a value. `abort` ends the attempt. */
export function single(core: Core, admitted: Admitted, plan: Plan, abort: Stop): Soon<Attempted> {
  return new Single(core, admitted, plan, abort).send()
}

class Single implements Started, Late, Waiter<Upstream> {
  readonly kind = 'started'
  readonly plan: Plan
  readonly deadline: Deadline
  readonly sentAt: number
  upstream!: Upstream
  readonly #core: Core
  readonly #admitted: Admitted
  readonly #abort: Stop
  readonly #attempted = new Soon<Attempted>()
  #broken: UpstreamFailure | null = null
  /** The end of a body that streams is still to come. */
  #isSending = false

  constructor(core: Core, admitted: Admitted, plan: Plan, abort: Stop) {
    this.plan = plan
    this.#core = core
    this.#admitted = admitted
    this.#abort = abort
    this.sentAt = core.host.now()
    this.deadline = new Deadline(core.alarms, core.config, admitted.call.startedAt, this)
    this.deadline.start(this.sentAt)
  }

  send(): Soon<Attempted> {
    try {
      sendBy(this.#core.host, this.plan.worker, this.#outgoing(), this)
    } catch (error) {
      this.failed(error)
    }
    return this.#attempted
  }

  /** The head is here; the first byte is waited for. */
  came(upstream: Upstream): void {
    this.upstream = upstream
    if (upstream.hasBegun) return this.#attempted.came(this)
    const begun = (first: Uint8Array | null) => this.#begun(first)
    const failed = (error: unknown) => this.failed(error)
    upstream.first().then(begun, failed)
  }

  failed(error: unknown): void {
    this.deadline.stop()
    this.#attempted.came({ kind: 'failed', plan: this.plan, failure: this.#broken ?? failureOf(error) })
  }

  #begun(first: Uint8Array | null): void {
    const { status, headers } = this.upstream
    // Nothing at all is no stream: another worker may do better.
    const isNothing = first === null && status === 200 && isEventStream(headers)
    if (isNothing) this.failed(new UpstreamFailure('reset', 'the stream ended before its first byte'))
    else this.#attempted.came(this)
  }

  late(failure: UpstreamFailure): void {
    const isHeld = this.#isSending || (this.upstream as Upstream | undefined)?.isHeld
    this.#broken = isHeld ? blameless(failure) : failure
    this.#abort.abort(this.#broken)
  }

  broken(): UpstreamFailure | null {
    return this.#broken
  }

  #outgoing(): Outgoing {
    const { worker } = this.plan
    const { call } = this.#admitted
    const headers = askLoad(headersFor(worker, call.headers, call.ids), this.plan)
    return {
      method: call.method,
      path: call.path,
      headers: nameInHeaders(headers, worker, call),
      body: this.#tracked(nameInBody(rankInBody(this.#admitted, worker), worker, call)),
      connectTimeout: this.#core.config.connectTimeout,
      isOnce: call.makesState,
      signal: this.#abort,
    }
  }

  /** The body; of a stream it is noticed when its end was sent. */
  #tracked(body: OutgoingBody): OutgoingBody {
    if (body === null || !('getReader' in body)) return body
    this.#isSending = true
    const flush = () => {
      this.#isSending = false
    }
    return body.pipeThrough(new TransformStream({ flush }))
  }
}

/** By a promise where the host has nothing shorter. */
function sendBy(host: Host, worker: WorkerRef, outgoing: Outgoing, waiter: Waiter<Upstream>): void {
  if (host.send) return host.send(worker, outgoing, waiter)
  const came = (upstream: Upstream) => waiter.came(upstream)
  const failed = (error: unknown) => waiter.failed(error)
  host.fetch(worker, outgoing).then(came, failed)
}

/** A client that reads no further, or whose upload stalls, is no fault of the worker: no breaker may count it. */
export function blameless(failure: UpstreamFailure): UpstreamFailure {
  return failure.kind === 'total_timeout' ? failure : new UpstreamFailure('aborted', 'the client stood still')
}

function failureOf(error: unknown): UpstreamFailure {
  return error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error))
}
