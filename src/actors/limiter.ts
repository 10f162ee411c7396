// Token buckets per tenant: requests and tokens a minute. Called only for keys that have limits.
import type { ActorState } from './actor.ts'

export interface Allowance {
  readonly tenant: string
  /** 0: no limit. */
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
}

interface Bucket {
  requests: number
  tokens: number
  at: number
}

export class Limiter {
  readonly #buckets = new Map<string, Bucket>()
  readonly #state: ActorState

  constructor(_config: unknown, state: ActorState) {
    this.#state = state
  }

  /** Takes one request and its guessed tokens. Returns 0, or the seconds after which there is room again. */
  take(allowance: Allowance, tokens: number): number {
    const bucket = this.#bucket(allowance)
    const wait = Math.max(
      shortfall(1 - bucket.requests, allowance.requestsPerMinute),
      // A prompt larger than a whole minute's allowance goes when the bucket is full, and leaves it in debt.
      shortfall(Math.min(tokens, allowance.tokensPerMinute) - bucket.tokens, allowance.tokensPerMinute),
    )
    if (wait > 0) return wait
    if (allowance.requestsPerMinute > 0) bucket.requests--
    if (allowance.tokensPerMinute > 0) bucket.tokens -= tokens
    return 0
  }

  /** Books what a call used beyond (or below) its guess. */
  book(allowance: Allowance, tokens: number): void {
    if (allowance.tokensPerMinute > 0) this.#bucket(allowance).tokens -= tokens
  }

  #bucket({ tenant, requestsPerMinute, tokensPerMinute }: Allowance): Bucket {
    const now = this.#state.now()
    let bucket = this.#buckets.get(tenant)
    if (!bucket)
      this.#buckets.set(tenant, (bucket = { requests: requestsPerMinute, tokens: tokensPerMinute, at: now }))
    const minutes = (now - bucket.at) / 60_000
    bucket.requests = Math.min(requestsPerMinute, bucket.requests + minutes * requestsPerMinute)
    bucket.tokens = Math.min(tokensPerMinute, bucket.tokens + minutes * tokensPerMinute)
    bucket.at = now
    return bucket
  }
}

/** Seconds until `missing` has flowed in at a rate per minute; 0 when nothing is missing or there is no limit. */
function shortfall(missing: number, perMinute: number): number {
  // What floats round off must not cost a second.
  return perMinute > 0 && missing > 1e-9 ? Math.ceil((missing / perMinute) * 60 - 1e-9) : 0
}
