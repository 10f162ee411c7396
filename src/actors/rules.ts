// The part of the configuration that a pool decides by, in the shapes of its parts. Made once per configuration.
import type { Config } from '../config/schema.ts'
import type { ProbeRules } from '../discovery/probe.ts'
import type { BreakerRules } from '../forward/breaker.ts'
import type { RetryRules } from '../forward/retry.ts'
import { policies, type Policy } from '../policies/policy.ts'

export interface PoolRules {
  readonly policy: Policy
  readonly breaker: BreakerRules
  readonly retry: RetryRules
  readonly probe: ProbeRules
  /** 0: no limit. */
  readonly maxInFlight: number
  readonly maxInFlightPerWorker: number
  readonly queueSize: number
}

export function rulesOf(config: Config): PoolRules {
  return {
    policy: policies.find((policy) => policy.name === config.policy) as Policy,
    breaker: {
      failures: config.breakerFailures,
      window: config.breakerWindow,
      open: config.breakerOpen,
      successes: config.breakerSuccesses,
    },
    retry: {
      retries: config.retries,
      delay: config.retryDelay,
      factor: config.retryFactor,
      maxDelay: config.retryMaxDelay,
      jitter: config.retryJitter,
      budget: config.retryBudget,
      floor: config.retryFloor,
    },
    probe: {
      path: config.healthPath,
      interval: config.healthInterval,
      timeout: config.healthTimeout,
      failures: config.healthFailures,
    },
    maxInFlight: config.maxInFlight,
    maxInFlightPerWorker: config.maxInFlightPerWorker,
    queueSize: config.queueSize,
  }
}
