// Tries workers until one answers: a failed attempt goes to another worker, as long as the client has seen nothing of it.
import type { Ask, Failure, Pick, Plan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Attempted, Failed, Started } from '../execute/attempted.ts'
import { execute } from '../execute/execute.ts'
import { Refusal } from '../openai/errors.ts'
import { ClientLeft } from './left.ts'
import { Stop } from './stop.ts'
import { retryAfterOf } from './headers.ts'

/**
 * Gets an answer that has begun, and returns what `pass` makes of it: who waited for the answer itself would need a promise more.
 * Rejects with a `Refusal`, or `ClientLeft`: then the lease is settled.
 */
export async function attempt<T>(
  core: Core,
  admitted: Admitted,
  pass: (core: Core, admitted: Admitted, started: Started) => T,
): Promise<T> {
  let started: Started
  const attempts = new Attempts(core, admitted)
  const { signal } = admitted.call
  // Until the answer is under way: from then on the host notices a client that leaves.
  signal.addEventListener('abort', attempts)
  try {
    let attempted = await attempts.begin()
    for (;;) {
      const next = attempts.next(attempted)
      const later = next === null ? null : await next
      if (later === null) break
      attempted = later
    }
    started = answer(attempted)
  } catch (error) {
    throw attempts.gaveUp(error)
  } finally {
    signal.removeEventListener('abort', attempts)
  }
  return pass(core, admitted, started)
}

/** Stays empty: V8 gives a list that grows room for seventeen at once, and most calls are tried at one worker. */
const NOBODY: string[] = []

/**
 * The attempts of one call. What an async function names is kept on the heap for each call, and each `await` makes some 300 bytes:
 * so there is but one of them on the way of a call that succeeds at once.
 */
class Attempts {
  readonly #core: Core
  readonly #admitted: Admitted
  /** Ids of the workers that it was sent to. */
  #tried: string[] = NOBODY
  /** The attempt under way. */
  #plan: Plan | null = null
  #stop: Stop | null = null

  constructor(core: Core, admitted: Admitted) {
    this.#core = core
    this.#admitted = admitted
    core.notes.began(admitted.life)
  }

  /** The first one. */
  begin(): Promise<Attempted> {
    const { host } = this.#core
    const { ask } = this.#admitted
    const askedAt = host.now()
    const pick = inTime(this.#core, ask, host.pool('main').pick(ask))
    return pick instanceof Promise
      ? pick.then((later) => this.#first(later, askedAt))
      : this.#first(pick, askedAt)
  }

  /** The one after that; null (or a promise of it): there is none, and what came is for the client. */
  next(attempted: Attempted): Promise<Attempted | null> | null {
    if (this.#admitted.call.signal.aborted) {
      drop(attempted)
      throw new ClientLeft()
    }
    const failure = failureOf(this.#core, attempted)
    if (failure === null) return null
    const plan = this.#plan
    if (failure.leg && plan?.kind === 'pair') this.#tried[this.#tried.length - 1] = plan.prefill.id
    count(this.#core, attempted, failure, this.#admitted.ask.id)
    return this.#again(attempted, failure)
  }

  /** The client has left: the attempt under way ends, and so does the lease. */
  handleEvent(): void {
    const { host } = this.#core
    this.#stop?.abort()
    host.after(Promise.resolve(host.pool('main').settle(this.#admitted.ask.id, { kind: 'left' })))
  }

  /** Nothing came of it. Returns what is to be thrown. */
  gaveUp(error: unknown): unknown {
    const { id } = this.#admitted.ask
    this.#core.notes.ended(this.#admitted.life)
    this.#core.surface?.follow?.({ kind: 'over', id }, this.#core)
    // Settling twice is harmless, and the listener may have been too early.
    this.handleEvent()
    return error instanceof Refusal ? error.of(id, this.#tried.at(-1)) : error
  }

  #first(pick: Pick, askedAt: number): Promise<Attempted> {
    const { instruments, host } = this.#core
    if ('plan' in pick)
      instruments.decisionTime.with().observe((host.now() - askedAt - pick.plan.waited) / 1000)
    return this.#send(this.#planOf(pick))
  }

  #planOf(pick: Pick): Plan {
    if (this.#admitted.call.signal.aborted) throw new ClientLeft()
    if ('plan' in pick) return pick.plan
    const { status, code, message, retryAfter } = pick.refusal
    throw new Refusal(status, code, message, retryAfter)
  }

  #send(plan: Plan): Promise<Attempted> {
    return plan.delay > 0 && !this.#admitted.call.signal.aborted
      ? sleep(this.#core, plan.delay).then(() => this.#execute(plan))
      : this.#execute(plan)
  }

  #execute(plan: Plan): Promise<Attempted> {
    const { instruments, surface } = this.#core
    const { call, life } = this.#admitted
    if (call.signal.aborted) throw new ClientLeft()
    if (plan.isDegraded) instruments.degradedDecisions.with().add()
    if (this.#tried === NOBODY) this.#tried = [plan.worker.id]
    else this.#tried.push(plan.worker.id)
    life.worker = plan.worker.id
    surface?.follow?.({ kind: 'sent', admitted: this.#admitted, plan }, this.#core)
    this.#plan = plan
    this.#stop = new Stop()
    return execute(this.#core, this.#admitted, plan, this.#stop)
  }

  async #again(attempted: Attempted, failure: Failure): Promise<Attempted | null> {
    const { host, instruments } = this.#core
    const { ask, call, life } = this.#admitted
    const pool = host.pool('main')
    if (call.body.kind === 'stream') {
      // Its bytes are gone: nobody else can be tried.
      await pool.settle(ask.id, { kind: 'failed', failure })
      return null
    }
    life.worker = null
    const pick = await inTime(this.#core, ask, pool.repick(failure, ask, this.#tried))
    if ('refusal' in pick) {
      if (pick.refusal.code === 'retry_budget') instruments.retryBudgetExhausted.with().add()
      return null
    }
    instruments.retried(failure.kind === 'status' ? `status_${failure.status}` : failure.kind)
    drop(attempted)
    return this.#send(pick.plan)
  }
}

/** An answer goes to the client, a retryable one too when nobody else could be tried. */
function answer(attempted: Attempted): Started {
  if (attempted.kind === 'failed') throw refusalOf(attempted)
  return attempted
}

function drop(attempted: Attempted): void {
  if (attempted.kind === 'failed') return
  attempted.deadline.stop()
  attempted.upstream.cancel()
}

function count(core: Core, attempted: Attempted, { kind, leg, status }: Failure, id: string): void {
  const { instruments, surface } = core
  const { plan: made } = attempted
  const { url } = leg && made.kind === 'pair' ? made.prefill : made.worker
  const failed = { kind: 'failed', id, url, failure: kind } as const
  surface?.count?.(status === undefined ? failed : { ...failed, status }, core)
  if (attempted.kind !== 'failed') return
  const { failure, plan } = attempted
  const worker = failure.leg && plan.kind === 'pair' ? plan.prefill : plan.worker
  instruments.upstreamFailures.with(worker.id, failure.kind).add()
}

/** A pool that did not see a deadline pass is told again after this, ms. */
const EXPIRE_AGAIN = 50

/** Waits for a decision; a wait in the queue ends at its deadline even if nothing else happens there. */
export function inTime(core: Core, ask: Ask, pick: Pick | Promise<Pick>): Pick | Promise<Pick> {
  if (!(pick instanceof Promise) || ask.queueUntil === Infinity) return pick
  const { host } = core
  const expire = () => {
    host.after(Promise.resolve(host.pool('main').expire()))
    // Timers may ring a fraction of a millisecond early, and the pool may go by another clock.
    cancel = host.timer(EXPIRE_AGAIN, expire)
  }
  let cancel = host.timer(Math.max(0, ask.queueUntil - host.now()) + 1, expire)
  return pick.finally(() => cancel())
}

function sleep({ host }: Core, ms: number): Promise<void> {
  return new Promise((resolve) => host.timer(ms, resolve))
}

/** Null when the answer is for the client. */
function failureOf(core: Core, attempted: Attempted): Failure | null {
  const leg = attempted.kind === 'failed' ? attempted.failure.leg : attempted.leg
  const who = leg && { leg }
  if (attempted.kind === 'failed') return { kind: attempted.failure.kind, ...who }
  const { status, headers } = attempted.upstream
  if (!core.config.retryOn.includes(status)) return null
  const retryAfter = retryAfterOf(headers, core.host.now())
  return { kind: 'status', status, ...(retryAfter !== undefined && { retryAfter }), ...who }
}

const TIMEOUTS = new Set(['connect_timeout', 'first_token_timeout', 'idle_timeout', 'total_timeout'])

/** What the client is told when no worker gave an answer. */
function refusalOf({ failure, plan }: Failed): Refusal {
  const worker = failure.leg ? 'prefill worker' : 'worker'
  const tried = plan.attempt === 1 ? `The ${worker}` : `After ${plan.attempt} attempts the ${worker}`
  if (TIMEOUTS.has(failure.kind)) {
    const what =
      failure.kind === 'connect_timeout' ? 'could not be connected to in time' : 'gave no answer in time'
    return new Refusal(504, failure.kind, `${tried} ${what} (${failure.kind}).`)
  }
  if (failure.kind === 'connect')
    return new Refusal(502, 'worker_unreachable', `${tried} could not be reached.`)
  if (failure.kind === 'aborted')
    return new Refusal(408, 'upload_too_slow', 'The request body did not come to its end in time.')
  if (failure.kind === 'protocol')
    return new Refusal(502, 'worker_protocol_error', `${tried} did not speak HTTP properly.`)
  return new Refusal(502, 'worker_died', `${tried} broke the connection before it answered.`)
}
