// Tries workers until one answers: a failed attempt goes to another worker, as long as the client has seen nothing of it.
import type { Failure, Pick } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Attempted, Failed, Started } from '../execute/attempted.ts'
import { execute } from '../execute/execute.ts'
import { Refusal } from '../openai/errors.ts'
import { ClientLeft } from './left.ts'
import { retryAfterOf } from './headers.ts'
import { isRetryableStatus } from './retry.ts'

/** Returns an answer that has begun. Throws a `Refusal`, or `ClientLeft`. When it throws, the lease is settled. */
export async function attempt(core: Core, admitted: Admitted): Promise<Started> {
  const { host, notes } = core
  const { ask, call } = admitted
  const pool = host.pool('main')
  const leave = () => host.after(Promise.resolve(pool.settle(ask.id, { kind: 'left' })))
  call.signal.addEventListener('abort', leave, { once: true })
  notes.began(ask.id)
  let isAnswered = false
  try {
    let pick = await inTime(core, admitted, pool.pick(ask))
    for (;;) {
      if (call.signal.aborted) throw new ClientLeft()
      if ('refusal' in pick)
        throw new Refusal(
          pick.refusal.status,
          pick.refusal.code,
          pick.refusal.message,
          pick.refusal.retryAfter,
        )
      if (pick.plan.delay > 0) await sleep(core, pick.plan.delay)
      const attempted = await execute(core, admitted, pick.plan)
      if (call.signal.aborted) throw new ClientLeft()
      const failure = failureOf(core, attempted)
      if (failure === null) return answered(attempted)
      if (call.body.kind === 'stream') {
        // Its bytes are gone: nobody else can be tried.
        await pool.settle(ask.id, { kind: 'failed', failure })
        return answered(attempted)
      }
      pick = await inTime(core, admitted, pool.repick(failure, ask))
      if ('refusal' in pick) return answered(attempted, pick.refusal.code)
      giveUp(attempted, core, failure)
    }
  } finally {
    call.signal.removeEventListener('abort', leave)
    if (!isAnswered) {
      notes.ended(ask.id)
      // Settling twice is harmless, and an abort listener may have been too early.
      leave()
    }
  }

  /** An answer goes to the client, a retryable one too when nobody else could be tried. */
  function answered(attempted: Attempted, why?: string): Started {
    if (why === 'retry_budget') core.instruments.retryBudgetExhausted.with().add()
    if (attempted.kind === 'failed') throw refusalOf(attempted)
    isAnswered = true
    return attempted
  }
}

/** Waits for a decision; a wait in the queue ends at its deadline even if nothing else happens there. */
async function inTime(core: Core, { ask }: Admitted, pick: Pick | Promise<Pick>): Promise<Pick> {
  if (!(pick instanceof Promise) || ask.queueUntil === Infinity) return pick
  const { host } = core
  const cancel = host.timer(Math.max(0, ask.queueUntil - host.now()) + 1, () => {
    host.after(Promise.resolve(host.pool('main').expire()))
  })
  return pick.finally(cancel)
}

function sleep({ host }: Core, ms: number): Promise<void> {
  return new Promise((resolve) => host.timer(ms, resolve))
}

/** Null when the answer is for the client. */
function failureOf(core: Core, attempted: Attempted): Failure | null {
  if (attempted.kind === 'failed') return { kind: attempted.failure.kind }
  const { status, headers } = attempted.upstream
  if (!isRetryableStatus(status)) return null
  const retryAfter = retryAfterOf(headers, core.host.now())
  return { kind: 'status', status, ...(retryAfter !== undefined && { retryAfter }) }
}

function giveUp(attempted: Attempted, core: Core, failure: Failure): void {
  core.instruments.retried(failure.kind === 'status' ? `status_${failure.status}` : failure.kind)
  if (attempted.kind === 'failed') return
  attempted.deadline.stop()
  attempted.upstream.cancel()
}

const TIMEOUTS = new Set(['connect_timeout', 'first_token_timeout', 'idle_timeout', 'total_timeout'])

/** What the client is told when no worker gave an answer. */
function refusalOf({ failure, plan }: Failed): Refusal {
  const tried = plan.attempt === 1 ? 'The worker' : `The last of ${plan.attempt} workers tried`
  if (TIMEOUTS.has(failure.kind)) {
    const what =
      failure.kind === 'connect_timeout' ? 'could not be connected to in time' : 'gave no answer in time'
    return new Refusal(504, failure.kind, `${tried} ${what} (${failure.kind}).`)
  }
  if (failure.kind === 'connect')
    return new Refusal(502, 'worker_unreachable', `${tried} could not be reached.`)
  if (failure.kind === 'protocol')
    return new Refusal(502, 'worker_protocol_error', `${tried} did not speak HTTP properly.`)
  return new Refusal(502, 'worker_died', `${tried} broke the connection before it answered.`)
}
