// The figures of a replay: what clients would have seen, and how the load lay.
import type { Arrival } from './arrivals.ts'

/** A first token within this time, s, and further ones at most this far apart, s, make a good answer. */
const GOOD_FIRST = 2
const GOOD_GAP = 0.1
/** The caches are filled by this share of the requests: they are left out. */
const WARM_UP = 0.1

/** What became of each request, at its place in the arrivals. NaN: it did not come to that. */
export interface Run {
  readonly arrivals: readonly Arrival[]
  readonly workers: number
  /** Seconds to the first token. */
  readonly first: Float64Array
  /** Seconds between later tokens, in the mean. */
  readonly gap: Float64Array
  /** Prompt tokens that came from the cache. */
  readonly cached: Int32Array
  /** The worker's number; -1: refused. */
  readonly worker: Int16Array
}

/** The figures of one policy, as `--json` prints them. */
export interface Figures {
  readonly policy: string
  /** Requests replayed. All other figures but the load share leave the first 10 % out. */
  readonly requests: number
  /** Share of the prompt tokens that came from a cache. */
  readonly hit_ratio: number
  readonly ttft_mean_s: number
  readonly ttft_p50_s: number
  readonly ttft_p99_s: number
  readonly tpot_mean_ms: number
  /** Share of requests with a first token within 2 s and at most 100 ms a token after that. */
  readonly goodput: number
  /** Share of all requests that the busiest worker got. */
  readonly load_share_max: number
}

/** What a run came to. Its first 10 % fill the caches and are left out. */
export function figuresOf(policy: string, run: Run): Figures {
  const { arrivals, first, gap, cached } = run
  const from = Math.floor(arrivals.length * WARM_UP)
  const firsts = served(first, from)
  const gaps = served(gap, from)
  let hits = 0
  let prompts = 0
  let good = 0
  for (let i = from; i < arrivals.length; i++) {
    if (Number.isNaN(first[i])) continue
    hits += cached[i] as number
    prompts += (arrivals[i] as Arrival).input
    if ((first[i] as number) <= GOOD_FIRST && !((gap[i] as number) > GOOD_GAP)) good++
  }
  return {
    policy,
    requests: arrivals.length,
    hit_ratio: prompts > 0 ? hits / prompts : 0,
    ttft_mean_s: mean(firsts),
    ttft_p50_s: quantile(firsts, 0.5),
    ttft_p99_s: quantile(firsts, 0.99),
    tpot_mean_ms: mean(gaps) * 1000,
    goodput: good / Math.max(1, arrivals.length - from),
    load_share_max: Math.max(...loadShares(run)),
  }
}

/** The share of the requests that each worker got. */
export function loadShares({ arrivals, worker, workers }: Run): number[] {
  const counts = Array.from({ length: workers }, () => 0)
  for (const number of worker) if (number >= 0) counts[number] = (counts[number] as number) + 1
  return counts.map((count) => count / arrivals.length)
}

/** First-token times after the warm-up, in ascending order. */
export function firstTokens(run: Run): Float64Array {
  return served(run.first, Math.floor(run.arrivals.length * WARM_UP))
}

/** The mean of each figure over several runs of one policy. */
export function meanFigures(all: readonly Figures[]): Figures {
  const [first] = all
  if (!first) throw new RangeError('no figures')
  const over = (name: Exclude<keyof Figures, 'policy' | 'requests'>) =>
    mean(all.map((figures) => figures[name]))
  return {
    policy: first.policy,
    requests: first.requests,
    hit_ratio: over('hit_ratio'),
    ttft_mean_s: over('ttft_mean_s'),
    ttft_p50_s: over('ttft_p50_s'),
    ttft_p99_s: over('ttft_p99_s'),
    tpot_mean_ms: over('tpot_mean_ms'),
    goodput: over('goodput'),
    load_share_max: over('load_share_max'),
  }
}

function served(values: Float64Array, from: number): Float64Array {
  return values
    .subarray(from)
    .filter((value) => !Number.isNaN(value))
    .sort()
}

function mean(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i] as number
  return values.length > 0 ? sum / values.length : 0
}

/** Of values in ascending order: the one at that share of the way. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0
}
