// The part of the configuration that a pool decides by, in the shapes of its parts. Made once per configuration.
import { choosing } from '../config/choosing.ts'
import type { Config } from '../config/schema.ts'
import type { LoadRules } from '../discovery/loads.ts'
import type { ProbeRules } from '../discovery/probe.ts'
import type { BreakerRules } from '../forward/breaker.ts'
import type { RetryRules } from '../forward/retry.ts'
import { chooserOf, policyOf, type Choose, type Policy } from '../policies/policy.ts'

export interface PoolRules {
  readonly policy: Policy
  readonly choose: Choose
  /** KV tokens of a worker that does not tell. */
  readonly kvCapacity: number
  readonly breaker: BreakerRules
  readonly retry: RetryRules
  readonly probe: ProbeRules
  readonly load: LoadRules
  /** 0: no limit. */
  readonly maxInFlight: number
  /** Places of that limit that come back a second before calls end. */
  readonly refillRate: number
  readonly maxInFlightPerWorker: number
  readonly queueSize: number
}

/** `before`: the rules until now; a policy that goes on with the same options keeps what it remembers. */
export function rulesOf(
  config: Config,
  policy: Policy = policyOf(config.policy),
  before?: { rules: PoolRules; config: Config },
): PoolRules {
  const isSame = before?.rules.policy === policy && hasSameOptions(before.config, config)
  const breaker: BreakerRules = {
    failures: config.breakerFailures,
    window: config.breakerWindow,
    open: config.breakerOpen,
    successes: config.breakerSuccesses,
    busyOn: config.busyOn,
    clientErrors: config.breakerClientErrors,
  }
  return {
    policy,
    choose: isSame ? before.rules.choose : chooserOf(policy, config),
    kvCapacity: config.kvCapacity,
    breaker,
    retry: {
      retries: config.retries,
      timeouts: config.retryTimeouts,
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
      successes: config.healthSuccesses,
      removeAfter: config.removeAfter,
      breaker: config.breakerProbes ? breaker : null,
    },
    load: {
      interval: config.loadInterval,
      timeout: config.healthTimeout,
      isUsed: Boolean(policy.usesLoad) || othersUseLoad(config),
      isAlways: config.loadAlways,
      asksUnknown: config.dialect === 'sglang-router' || config.dialect === 'vllm-router',
      orca: config.orca,
    },
    maxInFlight: config.maxInFlight,
    refillRate: config.refillRate,
    maxInFlightPerWorker: config.maxInFlightPerWorker,
    queueSize: config.queueSize,
  }
}

const othersUseLoad = ({ shadowPolicy, prefillPolicy, decodePolicy }: Config): boolean =>
  [shadowPolicy, prefillPolicy, decodePolicy].some((name) => name !== undefined && policyOf(name).usesLoad)

const OPTIONS = Object.keys(choosing) as (keyof typeof choosing)[]

/** Whether policies have the same options under both. */
export const hasSameOptions = (a: Config, b: Config): boolean => OPTIONS.every((key) => a[key] === b[key])
