// The plain executor: one request to one worker.
import type { Plan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Stop } from '../forward/stop.ts'
import { Deadline, type DeadlineRules, type Late } from '../forward/deadline.ts'
import { headersFor, isEventStream } from '../forward/headers.ts'
import { nameInBody, nameInHeaders } from '../forward/kv-session.ts'
import { askLoad } from '../forward/load-report.ts'
import { rankInBody } from '../forward/rank.ts'
import type { Config } from '../config/schema.ts'
import { UpstreamFailure, type Outgoing, type OutgoingBody, type Upstream } from '../host.ts'
import type { Attempted, Failed, Started } from './attempted.ts'

/** Sends the call and waits for the first byte. Never throws: what went wrong is a value. `abort` ends the attempt. */
export function single(core: Core, admitted: Admitted, plan: Plan, abort: Stop): Promise<Attempted> {
  return new Single(core, admitted, plan, abort).send()
}

class Single implements Started, Late {
  readonly kind = 'started'
  readonly plan: Plan
  readonly deadline: Deadline
  readonly sentAt: number
  upstream!: Upstream
  readonly #core: Core
  readonly #admitted: Admitted
  readonly #abort: Stop
  #broken: UpstreamFailure | null = null
  /** The end of a body that streams is still to come. */
  #isSending = false

  constructor(core: Core, admitted: Admitted, plan: Plan, abort: Stop) {
    this.plan = plan
    this.#core = core
    this.#admitted = admitted
    this.#abort = abort
    this.deadline = new Deadline(core.alarms, deadlineRules(core.config), admitted.call.startedAt, this)
    this.sentAt = core.host.now()
  }

  send(): Promise<Attempted> {
    const failed = (error: unknown) => this.#failed(error)
    try {
      const sent = this.#core.host.fetch(this.plan.worker, this.#outgoing())
      return sent.then((upstream) => this.#answered(upstream), failed)
    } catch (error) {
      return Promise.resolve(failed(error))
    }
  }

  #answered(upstream: Upstream): Attempted | Promise<Attempted> {
    this.upstream = upstream
    return upstream.hasBegun ? this : this.#begun(upstream)
  }

  /** Waits for the first byte. */
  async #begun(upstream: Upstream): Promise<Attempted> {
    try {
      const first = await upstream.first()
      // Nothing at all is no stream: another worker may do better.
      if (first === null && upstream.status === 200 && isEventStream(upstream.headers)) {
        throw new UpstreamFailure('reset', 'the stream ended before its first byte')
      }
      return this
    } catch (error) {
      return this.#failed(error)
    }
  }

  #failed(error: unknown): Failed {
    this.deadline.stop()
    return { kind: 'failed', plan: this.plan, failure: this.#broken ?? failureOf(error) }
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

const deadlineRules = ({ firstTokenTimeout, idleTimeout, totalTimeout }: Config): DeadlineRules => ({
  firstToken: firstTokenTimeout,
  idle: idleTimeout,
  total: totalTimeout,
})

/** A client that reads no further, or whose upload stalls, is no fault of the worker: no breaker may count it. */
export function blameless(failure: UpstreamFailure): UpstreamFailure {
  return failure.kind === 'total_timeout' ? failure : new UpstreamFailure('aborted', 'the client stood still')
}

function failureOf(error: unknown): UpstreamFailure {
  return error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error))
}
