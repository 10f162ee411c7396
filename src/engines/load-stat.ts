// The load that SGLang publishes by itself (`--load-publish-endpoint`): one message a rank, at least each second.
import type { EngineLoad } from './engine.ts'

/** What a rank told longer ago than this says nothing of now, ms. */
const RANK_LIFE = 5_000
/** Busy time that makes a speed, microseconds: less is noise. */
const LEAST_BUSY = 50_000

/** Weight of a new measurement in the running mean of speeds. */
const SPEED_WEIGHT = 0.3

/** One message, decoded. Absent: the engine does not know, or is too old to say. */
export interface LoadStat {
  readonly running: number
  readonly waiting: number
  readonly usedTokens: number
  readonly capacityTokens: number
  readonly waitingUncachedTokens?: number
  /** Prompt tokens computed since its start, and the microseconds that took. */
  readonly prefillTokens?: number
  readonly prefillBusy?: number
}

/**
 * Reads the decoded MessagePack of a message: `["LoadStat", running, waiting, kv tokens, kv capacity, rank, waiting uncached
 * tokens, total tokens, max running, prefill tokens, prefill busy µs]`, positional; newer engines only append, older ones
 * end earlier, and null is "not known". null when it is something else or tells impossible numbers.
 */
export function readLoadStat(message: unknown): LoadStat | null {
  if (!Array.isArray(message) || message[0] !== 'LoadStat') return null
  const [running, waiting, used, capacity] = message.slice(1, 5).map(countOf)
  if (running === undefined || waiting === undefined || used === undefined || capacity === undefined)
    return null
  const [, uncached, , , prefillTokens, prefillBusy] = message.slice(5, 11).map(countOf)
  return {
    running,
    waiting,
    usedTokens: used,
    capacityTokens: capacity,
    ...(uncached !== undefined && { waitingUncachedTokens: uncached }),
    ...(prefillTokens !== undefined && { prefillTokens }),
    ...(prefillBusy !== undefined && { prefillBusy }),
  }
}

function countOf(value: unknown): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value
  return typeof number === 'number' && number >= 0 && Number.isFinite(number) ? number : undefined
}

interface Rank {
  readonly stat: LoadStat
  readonly at: number
  /** The message that the next speed is measured from. */
  readonly base: LoadStat
}

/** The newest message of each rank of one worker, and what they come to together. */
export class PushedLoads {
  readonly #ranks = new Map<number, Rank>()
  readonly #count: number
  /** Prompt tokens a second while a rank computes prompts, as the engine's own counters tell; 0 until they do. */
  speed = 0

  /** `count`: ranks that the worker has. */
  constructor(count: number) {
    this.#count = count
  }

  /**
   * Takes a message of a rank that came at `at` (ms). Returns the load of all ranks; null while one of them is silent: what is
   * left would look like less than there is. The rank is that of the socket: what the message says of it may be null.
   */
  take(rank: number, stat: LoadStat, at: number): EngineLoad | null {
    const base = this.#ranks.get(rank)?.base ?? stat
    this.#ranks.set(rank, { stat, at, base: this.#measured(base, stat) ? stat : base })
    for (const one of this.#ranks.values()) if (one.at < at - RANK_LIFE) return null
    return this.#ranks.size < this.#count ? null : this.#load()
  }

  /** Whether the next speed is measured from `now` on: there was enough to measure one, or nothing to measure by. */
  #measured(base: LoadStat, now: LoadStat): boolean {
    const busy = (now.prefillBusy ?? 0) - (base.prefillBusy ?? 0)
    const tokens = (now.prefillTokens ?? 0) - (base.prefillTokens ?? 0)
    // The counters go back when it restarts.
    if (busy < 0 || tokens < 0) return true
    if (busy < LEAST_BUSY || tokens === 0) return false
    const speed = (tokens / busy) * 1e6
    this.speed = this.speed === 0 ? speed : this.speed + SPEED_WEIGHT * (speed - this.speed)
    return true
  }

  #load(): EngineLoad {
    const stats = [...this.#ranks.values()].map(({ stat }) => stat)
    const total = (key: 'running' | 'waiting' | 'usedTokens' | 'capacityTokens') =>
      stats.reduce((sum, stat) => sum + stat[key], 0)
    const uncached = stats.map((stat) => stat.waitingUncachedTokens)
    const used = total('usedTokens')
    const capacity = total('capacityTokens')
    return {
      running: total('running'),
      waiting: total('waiting'),
      // A sum over some ranks would look like less work than there is.
      ...(uncached.every((one) => one !== undefined) && {
        waitingUncachedTokens: uncached.reduce((sum, one) => sum + one, 0),
      }),
      kvTokens: used,
      ...(capacity > 0 && { kvCapacityTokens: capacity, kvUsage: Math.min(1, used / capacity) }),
    }
  }
}
