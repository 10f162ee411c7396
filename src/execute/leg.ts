// One half of a pair on its way: its own connection, its own clock, and an end that the other half can bring about.
import type { PairPlan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import { Deadline, type Late } from '../forward/deadline.ts'
import { headersFor } from '../forward/headers.ts'
import { nameInBody, nameInHeaders } from '../forward/kv-session.ts'
import { askLoad } from '../forward/load-report.ts'
import { pairRankEdits, rankEdits } from '../forward/rank.ts'
import { Stop } from '../forward/stop.ts'
import { UpstreamFailure, type HeaderList, type Signal, type Upstream, type WorkerRef } from '../host.ts'
import { editBody, type Edit } from '../openai/spans.ts'
import { blameless } from './single.ts'

/** A whole answer, as far as a router may hold one. */
const MOST_BYTES = 256 * 1024 * 1024

/** What is sent on a leg. */
export interface Sent {
  readonly ids: HeaderList
  /** Made to the client's body, after those that every worker gets. */
  readonly edits: readonly Edit[]
}

/** A whole answer of a leg. */
export interface LegAnswer {
  readonly upstream: Upstream
  readonly bytes: Uint8Array
}

export class Leg implements Late {
  readonly name: 'prefill' | 'decode'
  readonly worker: WorkerRef
  /** Why the router itself ended it; null: it did not. */
  failure: UpstreamFailure | null = null
  /** Epoch ms. */
  sentAt = 0
  upstream: Upstream | null = null
  deadline: Deadline | null = null
  readonly #core: Core
  readonly #admitted: Admitted
  readonly #plan: PairPlan
  readonly #abort = new Stop()

  /** `signal`: the attempt's; it ends both legs. */
  constructor(name: Leg['name'], by: { core: Core; admitted: Admitted; plan: PairPlan }, signal: Signal) {
    this.name = name
    this.#core = by.core
    this.#admitted = by.admitted
    this.#plan = by.plan
    this.worker = name === 'prefill' ? by.plan.prefill : by.plan.worker
    const leave = () => this.cut(new UpstreamFailure('aborted', 'the call was given up'))
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  }

  /** Ends it; harmless afterwards. */
  cut(failure: UpstreamFailure): void {
    this.deadline?.stop()
    this.failure ??= this.#named(failure)
    this.#abort.abort(this.failure)
    this.upstream?.cancel()
  }

  /** Starts its clock: until its first token (whole answer), and that of the call. */
  time(firstToken: number): Deadline {
    const { alarms, config } = this.#core
    const { idleTimeout, totalTimeout } = config
    const rules = { firstTokenTimeout: firstToken, idleTimeout, totalTimeout }
    this.deadline = new Deadline(alarms, rules, this.#admitted.call.startedAt, this)
    this.deadline.start(alarms.now())
    return this.deadline
  }

  late(failure: UpstreamFailure): void {
    this.cut(this.upstream?.isHeld ? blameless(failure) : failure)
  }

  /** Sends it; resolves with the head of the answer. Rejects with an `UpstreamFailure` that names the leg. */
  async send({ ids, edits }: Sent): Promise<Upstream> {
    const { call } = this.#admitted
    const { config, host } = this.#core
    this.sentAt = host.now()
    try {
      const headers = headersFor(this.worker, call.headers, ids)
      if (this.name === 'decode') askLoad(headers, this.#plan)
      this.upstream = await host.fetch(this.worker, {
        method: call.method,
        path: call.path,
        headers: nameInHeaders(headers, this.worker, call),
        body: nameInBody(bodyOf(this.#admitted, [...edits, ...this.#rankEdits()]), this.worker, call),
        connectTimeout: config.connectTimeout,
        signal: this.#abort.signal,
      })
      return this.upstream
    } catch (error) {
      throw this.blamed(error)
    }
  }

  /** The whole of its answer. Rejects as `send`. */
  async whole(upstream: Upstream): Promise<LegAnswer> {
    try {
      const bytes = await upstream.bytes(MOST_BYTES)
      if (this.failure) throw this.failure
      return { upstream, bytes }
    } catch (error) {
      throw this.blamed(error)
    }
  }

  /** What went wrong on it, as a failure that names it. */
  blamed(error: unknown): UpstreamFailure {
    if (this.failure) return this.failure
    return this.#named(
      error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error)),
    )
  }

  #rankEdits(): Edit[] {
    return this.name === 'prefill' ? rankEdits(this.worker) : pairRankEdits(this.worker, this.#plan.prefill)
  }

  #named(failure: UpstreamFailure): UpstreamFailure {
    if (this.name === 'decode' || failure.leg) return failure
    return new UpstreamFailure(failure.kind, failure.message, 'prefill')
  }
}

function bodyOf({ call, body, edits: own }: Admitted, edits: readonly Edit[]) {
  return call.body.kind === 'json' ? editBody(call.body.bytes, call.body.top, [...own, ...edits]) : body
}
