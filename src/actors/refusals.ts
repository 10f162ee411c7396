// What a pool says when it gives no worker, or no other one.
import type { Ask, Failure, RefusalValue } from './ask.ts'
import type { Placement } from './placement.ts'

/** No further attempt: the router then tells the client what went wrong in the last one. */
export const gaveUp = (why: string, code = 'no_retry'): RefusalValue => ({
  status: 502,
  code,
  message: `Not tried again: ${why}.`,
})

/** Why no attempt may follow one that failed, the `attempt`th, its budget aside; null: it may. */
export function whyNoRetry(
  ask: Ask,
  failure: Failure,
  { attempt, retries, timeouts }: { attempt: number; retries: number; timeouts?: boolean | undefined },
): RefusalValue | null {
  if (attempt > retries) return gaveUp('every attempt failed')
  const neverSent = failure.kind === 'connect' || failure.kind === 'connect_timeout'
  const isLate = failure.kind.endsWith('_timeout') && !neverSent
  if (isLate && (!timeouts || failure.kind === 'total_timeout')) return gaveUp('its time is up')
  if (failure.kind === 'aborted') return gaveUp('it was aborted')
  return ask.makesState && !neverSent ? gaveUp('it may have made state already') : null
}

/** Why a retry does not go to where it could; null: it does. */
export function whyNotThere(failure: Failure, placement: Placement): RefusalValue | null {
  const isAnswer = failure.kind === 'status'
  if (placement.kind === 'full') return isAnswer ? gaveUp('the other workers are full') : null
  if (placement.kind !== 'seat' || !placement.isAgain) return null
  if (isAnswer && failure.retryAfter !== undefined) return gaveUp('the only worker is busy')
  // Its time to connect was given once; the next try would take as long again.
  return failure.kind === 'connect_timeout' ? gaveUp('the only worker cannot be connected to') : null
}

/** From a worker that is broken (not busy) to another one that has not failed of late. */
export function isMoveToHealth(failure: Failure, placement: Placement, busyOn: readonly number[]): boolean {
  if (failure.kind === 'status' && busyOn.includes(failure.status as number)) return false
  return placement.kind === 'seat' && !placement.isAgain && placement.seat.breaker.failedAt.length === 0
}

/** No room, or not in time: says when to come back, from how long calls hold their places. */
export function noRoom(
  code: 'queue_full' | 'queue_timeout',
  queued: number,
  { leases, serviceTime }: { readonly leases: { readonly size: number }; readonly serviceTime: number },
): RefusalValue {
  const seconds = Math.ceil(((queued + 1) * serviceTime) / Math.max(1, leases.size) / 1000)
  const retryAfter = Math.min(60, Math.max(1, seconds))
  const what = code === 'queue_full' ? 'The queue is full' : 'The call waited too long for room'
  const message = `${what}: all workers are at their limit. Try again in ${retryAfter} s.`
  return { status: code === 'queue_full' ? 429 : 503, code, message, retryAfter }
}
