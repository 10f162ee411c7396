// Whether an attempt that failed may be followed by another: its number, its failure, where it would go, and the budget.
import { earnRetry, createRetryBudget, spendRetry, type RetryBudget } from '../forward/retry.ts'
import type { Ask, Failure, RefusalValue } from './ask.ts'
import type { Placement, Turn } from './placement.ts'
import { gaveUp, isMoveToHealth, whyNoRetry, whyNotThere } from './refusals.ts'
import type { PoolRules } from './rules.ts'

export class Retries {
  rules: PoolRules
  readonly #budget: RetryBudget

  constructor(rules: PoolRules, now: number) {
    this.rules = rules
    this.#budget = createRetryBudget(rules.retry, now)
  }

  /** A call began: it earns a share of a retry. */
  earn(): void {
    earnRetry(this.#budget, this.rules.retry)
  }

  /** Why there is no further attempt, wherever it would go; null: there may be. `turn`: of the next one. */
  whyNone(ask: Ask, failure: Failure, turn: Turn, isPair = false): RefusalValue | null {
    const { retries, timeouts } = this.rules.retry
    // A pair whose engines had begun is sent again once: its halves wait for each other, and hold KV for that long.
    const isOnce = isPair && failure.kind !== 'connect' && failure.kind !== 'connect_timeout'
    return whyNoRetry(ask, failure, {
      attempt: turn.attempt - 1,
      retries: isOnce ? Math.min(1, retries) : retries,
      timeouts,
    })
  }

  /** Why it may not go there; null: it may, and the budget has paid for it. */
  whyNotThere(failure: Failure, placement: Placement, now: number): RefusalValue | null {
    return whyNotThere(failure, placement) ?? this.#overBudget(failure, placement, now)
  }

  /** The budget is there against storms; calls that move from a worker that died to one that is well make none. */
  #overBudget(failure: Failure, placement: Placement, now: number): RefusalValue | null {
    // Without a breaker nobody knows who is well.
    if (this.rules.breaker.failures > 0 && isMoveToHealth(failure, placement, this.rules.breaker.busyOn))
      return null
    if (spendRetry(this.#budget, this.rules.retry, now)) return null
    return gaveUp('the retry budget is spent', 'retry_budget')
  }
}
