// Tries workers until one answers: a failed attempt goes to another worker, as long as the client has seen nothing of it.
import type { Ask, Failure, Pick, Plan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Attempted, Failed, Started } from '../execute/attempted.ts'
import { execute } from '../execute/execute.ts'
import { Refusal } from '../openai/errors.ts'
import { Soon, type Waiter } from '../soon.ts'
import { ClientLeft } from './left.ts'
import { Stop } from './stop.ts'
import { retryAfterOf } from './headers.ts'

/**
 * Gets an answer that has begun, and tells what `pass` makes of it. Fails with a `Refusal`, or `ClientLeft`: then the lease is
 * settled.
 */
export function attempt<T>(core: Core, admitted: Admitted, pass: Pass<T>): Soon<T> {
  return new Attempts(core, admitted, pass).begin()
}

type Pass<T> = (core: Core, admitted: Admitted, started: Started) => T

/** Stays empty: V8 gives a list that grows room for seventeen at once, and most calls are tried at one worker. */
const NOBODY: string[] = []

/**
 * The attempts of one call. No async function: what one names is kept on the heap for each call, and each `await` makes some 300
 * bytes. There is none on the way of a call that succeeds at once.
 */
class Attempts<T> implements Waiter<Attempted> {
  readonly #core: Core
  readonly #admitted: Admitted
  readonly #pass: Pass<T>
  readonly #answer = new Soon<T>()
  /** Ids of the workers that it was sent to. */
  #tried: string[] = NOBODY
  /** The attempt under way. */
  #plan: Plan | null = null
  #stop: Stop | null = null

  constructor(core: Core, admitted: Admitted, pass: Pass<T>) {
    this.#core = core
    this.#admitted = admitted
    this.#pass = pass
  }

  /** Has it tried until it is answered, or nobody else can be tried. */
  begin(): Soon<T> {
    const { notes, host } = this.#core
    const { ask, call, life } = this.#admitted
    notes.began(life)
    // Until the answer is under way: from then on the host notices a client that leaves.
    call.signal.addEventListener('abort', this)
    const askedAt = host.now()
    try {
      const pick = inTime(this.#core, ask, host.pool('main').pick(ask))
      if (pick instanceof Promise) this.#when(pick.then((later) => this.#first(later, askedAt)))
      else this.#first(pick, askedAt)
    } catch (error) {
      this.failed(error)
    }
    return this.#answer
  }

  /** An attempt has come to something: the client's answer, or a failure that another one may make good. */
  came(attempted: Attempted): void {
    try {
      if (this.#admitted.call.signal.aborted) {
        drop(attempted)
        throw new ClientLeft()
      }
      const failure = failureOf(this.#core, attempted)
      if (failure === null) this.#answered(attempted)
      else this.#when(this.#again(attempted, failure))
    } catch (error) {
      this.failed(error)
    }
  }

  /** Nothing came of it. */
  failed(error: unknown): void {
    const { id } = this.#admitted.ask
    this.#core.notes.ended(this.#admitted.life)
    this.#core.surface?.follow?.({ kind: 'over', id }, this.#core)
    // Settling twice is harmless, and the listener may have been too early.
    this.handleEvent()
    this.#admitted.call.signal.removeEventListener('abort', this)
    this.#answer.failed(error instanceof Refusal ? error.of(id, this.#tried.at(-1)) : error)
  }

  /** The client has left: the attempt under way ends, and so does the lease. */
  handleEvent(): void {
    const { host } = this.#core
    this.#stop?.abort()
    host.after(Promise.resolve(host.pool('main').settle(this.#admitted.ask.id, { kind: 'left' })))
  }

  /** It goes on behind a promise. */
  #when(work: Promise<void>): void {
    work.catch((error: unknown) => this.failed(error))
  }

  #first(pick: Pick, askedAt: number): void {
    const { instruments, host } = this.#core
    if ('plan' in pick)
      instruments.decisionTime.with().observe((host.now() - askedAt - pick.plan.waited) / 1000)
    this.#send(this.#planOf(pick))
  }

  #planOf(pick: Pick): Plan {
    if (this.#admitted.call.signal.aborted) throw new ClientLeft()
    if ('plan' in pick) return pick.plan
    const { status, code, message, retryAfter } = pick.refusal
    throw new Refusal(status, code, message, retryAfter)
  }

  #send(plan: Plan): void {
    if (plan.delay > 0 && !this.#admitted.call.signal.aborted)
      this.#when(sleep(this.#core, plan.delay).then(() => this.#execute(plan)))
    else this.#execute(plan)
  }

  #execute(plan: Plan): void {
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
    execute(this.#core, this.#admitted, plan, this.#stop).tell(this)
  }

  /** Tries another worker; what came is for the client where there is none. */
  async #again(attempted: Attempted, failure: Failure): Promise<void> {
    const { host, instruments } = this.#core
    const { ask, call, life } = this.#admitted
    const plan = this.#plan
    if (failure.leg && plan?.kind === 'pair') this.#tried[this.#tried.length - 1] = plan.prefill.id
    count(this.#core, attempted, failure, ask.id)
    const pool = host.pool('main')
    if (call.body.kind === 'stream') {
      // Its bytes are gone: nobody else can be tried.
      await pool.settle(ask.id, { kind: 'failed', failure })
      return this.#answered(attempted)
    }
    life.worker = null
    const pick = await inTime(this.#core, ask, pool.repick(failure, ask, this.#tried))
    if ('refusal' in pick) {
      if (pick.refusal.code === 'retry_budget') instruments.retryBudgetExhausted.with().add()
      return this.#answered(attempted)
    }
    instruments.retried(failure.kind === 'status' ? `status_${failure.status}` : failure.kind)
    drop(attempted)
    this.#send(pick.plan)
  }

  /** The answer goes to the client, a retryable one too when nobody else could be tried. */
  #answered(attempted: Attempted): void {
    if (attempted.kind === 'failed') throw refusalOf(attempted)
    this.#admitted.call.signal.removeEventListener('abort', this)
    let made: T
    try {
      made = this.#pass(this.#core, this.#admitted, attempted)
    } catch (error) {
      // It has an answer under way: its lease is not settled by whoever gave up.
      return this.#answer.failed(error)
    }
    this.#answer.came(made)
  }
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
  // Below there can be none in the list, which is looked through by a call out of compiled code: 0.2 % of a 1 KB call.
  if (status < 400 || !core.config.retryOn.includes(status)) return null
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
