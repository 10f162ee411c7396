// What a worker told last of its load, as people and /metrics see it.
import type { PrefixCacheUse } from '../engines/engine.ts'
import type { ReportedLoad } from './ask.ts'

/** What an engine told last of its load; null stands for what it does not tell. */
export interface LoadView {
  readonly running: number | null
  readonly waiting: number | null
  readonly waiting_uncached_tokens: number | null
  readonly used_tokens: number | null
  readonly capacity_tokens: number | null
  /** 0 to 1. */
  readonly kv_usage: number | null
  /** Absent: not told. */
  readonly prefix_cache?: PrefixCacheUse
  readonly age_ms: number
}

interface Told {
  readonly reported: ReportedLoad | null
  /** Milliseconds for which it counts. */
  readonly freshFor: number
}

/** What a worker told of its load, while that counts; null: nothing of late. */
export function loadOfSeat({ reported: load, freshFor }: Told, now: number): LoadView | null {
  if (load === null || now - load.at > freshFor) return null
  const known = (value: number) => (value < 0 ? null : value)
  return {
    running: known(load.running),
    waiting: known(load.waiting),
    waiting_uncached_tokens: known(load.waitingUncachedTokens),
    used_tokens: known(load.usedTokens),
    capacity_tokens: known(load.capacityTokens),
    kv_usage: known(load.usage),
    ...(load.prefixCache && { prefix_cache: load.prefixCache }),
    age_ms: Math.max(0, Math.round(now - load.at)),
  }
}
