// Tries workers until one answers: a failed attempt goes to another worker, as long as the client has seen nothing of it.
import type { Ask, Failure, Pick, RefusalValue } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Attempted, Failed, Started } from '../execute/attempted.ts'
import { execute } from '../execute/execute.ts'
import { Refusal } from '../openai/errors.ts'
import { ClientLeft } from './left.ts'
import { retryAfterOf } from './headers.ts'

/** Returns an answer that has begun. Throws a `Refusal`, or `ClientLeft`. When it throws, the lease is settled. */
export async function attempt(core: Core, admitted: Admitted): Promise<Started> {
  const { host, notes } = core
  const { ask, call } = admitted
  let current: AbortController | null = null
  const tried: string[] = []
  const leave = () => {
    current?.abort()
    host.after(Promise.resolve(host.pool('main').settle(ask.id, { kind: 'left' })))
  }
  // Until the answer is under way: from then on the host notices a client that leaves.
  call.signal.addEventListener('abort', leave, { once: true })
  notes.began(ask.id, ask.tokens)
  try {
    return await attempts(core, admitted, tried, (abort) => (current = abort))
  } catch (error) {
    notes.ended(ask.id)
    core.surface?.follow?.({ kind: 'over', id: ask.id }, core)
    // Settling twice is harmless, and the listener may have been too early.
    leave()
    throw error instanceof Refusal ? error.of(ask.id, tried.at(-1)) : error
  } finally {
    call.signal.removeEventListener('abort', leave)
  }
}

/** `tried`: gets the ids of the workers that it is sent to. */
async function attempts(
  core: Core,
  admitted: Admitted,
  tried: string[],
  begin: (abort: AbortController) => void,
): Promise<Started> {
  const { ask, call } = admitted
  const pool = core.host.pool('main')
  const askedAt = core.host.now()
  let pick = await inTime(core, ask, pool.pick(ask))
  if ('plan' in pick)
    core.instruments.decisionTime.with().observe((core.host.now() - askedAt - pick.plan.waited) / 1000)
  for (;;) {
    if (!call.signal.aborted && 'plan' in pick && pick.plan.delay > 0) await sleep(core, pick.plan.delay)
    if (call.signal.aborted) throw new ClientLeft()
    if ('refusal' in pick) throw asRefusal(pick.refusal)
    if (pick.plan.isDegraded) core.instruments.degradedDecisions.with().add()
    tried.push(pick.plan.worker.id)
    core.notes.sent(ask.id, pick.plan.worker.id)
    core.surface?.follow?.({ kind: 'sent', admitted, plan: pick.plan }, core)
    const abort = new AbortController()
    begin(abort)
    const attempted = await execute(core, admitted, pick.plan, abort)
    if (call.signal.aborted) {
      drop(attempted)
      throw new ClientLeft()
    }
    const failure = failureOf(core, attempted)
    if (failure === null) return answer(attempted)
    if (failure.leg && pick.plan.kind === 'pair') tried[tried.length - 1] = pick.plan.prefill.id
    count(core, attempted, failure, ask.id)
    if (call.body.kind === 'stream') {
      // Its bytes are gone: nobody else can be tried.
      await pool.settle(ask.id, { kind: 'failed', failure })
      return answer(attempted)
    }
    core.notes.sent(ask.id, null)
    pick = await inTime(core, ask, pool.repick(failure, ask, tried))
    if ('refusal' in pick) {
      if (pick.refusal.code === 'retry_budget') core.instruments.retryBudgetExhausted.with().add()
      return answer(attempted)
    }
    core.instruments.retried(failure.kind === 'status' ? `status_${failure.status}` : failure.kind)
    drop(attempted)
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

function count(core: Core, attempted: Attempted, { kind, leg }: Failure, id: string): void {
  const { instruments, surface } = core
  const { plan: made } = attempted
  const { url } = leg && made.kind === 'pair' ? made.prefill : made.worker
  surface?.count?.({ kind: 'failed', id, url, failure: kind }, core)
  if (attempted.kind !== 'failed') return
  const { failure, plan } = attempted
  const worker = failure.leg && plan.kind === 'pair' ? plan.prefill : plan.worker
  instruments.upstreamFailures.with(worker.id, failure.kind).add()
}

const asRefusal = ({ status, code, message, retryAfter }: RefusalValue): Refusal =>
  new Refusal(status, code, message, retryAfter)

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
