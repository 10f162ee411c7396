// What a replay is told: the fleet, the pace, the policies, and what goes wrong on the way.

/** How several routers know of each other's decisions: one decides for all, they tell each other every 10 ms, or not at all. */
export type Sync = 'leader' | '10ms' | 'none'

export interface ReplayOptions {
  readonly workers: number
  /** KV blocks of 512 tokens on each worker. */
  readonly capacity: number
  /** How many times faster than recorded. */
  readonly speed: number
  /** 0: bursts are spread evenly; else the seed of chance. */
  readonly seed: number
  readonly routers: number
  readonly sync: Sync
  /** Pools that decide side by side, each for sessions of its own. */
  readonly shards: number
  /** Where in the trace something happens, as a share of its time. */
  readonly at: number
  /** The worker that loses its cache then; null: none. */
  readonly restart: number | null
  /** The last worker joins only then. */
  readonly scaleOut: boolean
  /** Speed of the second half of the workers, as a factor. */
  readonly hetero: number
  /** The share of the requests after that time which begin with one and the same prompt. */
  readonly hot: number
  /** Tokens of one prompt that an engine computes in a step at most, so that several prompts share it; 0: it does not share. */
  readonly longPrefill: number
}

export const DEFAULTS: ReplayOptions = {
  workers: 8,
  capacity: 3000,
  speed: 1,
  seed: 0,
  routers: 1,
  sync: 'leader',
  shards: 1,
  at: 0.5,
  restart: null,
  scaleOut: false,
  hetero: 1,
  hot: 0,
  longPrefill: 0,
}
