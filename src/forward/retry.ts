// When a failed attempt may be tried again, and after how long: a budget with a floor, and an exponential back-off with jitter.

export interface RetryRules {
  /** Further attempts after the first. */
  readonly retries: number
  /** After a timeout of an answer, too. */
  readonly timeouts?: boolean
  readonly delay: number
  readonly factor: number
  readonly maxDelay: number
  /** Share of the delay that chance may add or take away. */
  readonly jitter: number
  /** Retries as a share of calls, above the floor. */
  readonly budget: number
  /** Retries a second that are always allowed. */
  readonly floor: number
}

/** Retries left: `floor` refills by the clock, `earned` by calls. */
export interface RetryBudget {
  floor: number
  earned: number
  refilledAt: number
}

/** What calls may save up, so that a quiet hour does not pay for a storm. */
const MAX_EARNED = 100

export const createRetryBudget = (rules: RetryRules, now: number): RetryBudget => ({
  floor: rules.floor,
  earned: 0,
  refilledAt: now,
})

/** A first attempt was made: it earns its share of a retry. */
export function earnRetry(budget: RetryBudget, rules: RetryRules): void {
  budget.earned = Math.min(MAX_EARNED, budget.earned + rules.budget)
}

/** Takes one retry out of the budget; false when there is none. */
export function spendRetry(budget: RetryBudget, rules: RetryRules, now: number): boolean {
  const refill = ((now - budget.refilledAt) / 1000) * rules.floor
  budget.floor = Math.min(rules.floor, budget.floor + Math.max(0, refill))
  budget.refilledAt = now
  if (budget.floor >= 1) {
    budget.floor--
    return true
  }
  if (budget.earned < 1) return false
  budget.earned--
  return true
}

/** Back-off before the n-th attempt (n ≥ 2), ms. */
export function backOff(rules: RetryRules, attempt: number, random: number): number {
  const delay = Math.min(rules.maxDelay, rules.delay * rules.factor ** (attempt - 2))
  return delay * (1 + rules.jitter * (2 * random - 1))
}
