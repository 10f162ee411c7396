// How a pool chooses. A policy is one pure file; adding one is that file and one line in `policies` below.
import type { Ask } from '../actors/ask.ts'
import { roundRobin } from './round-robin.ts'
import { random } from './random.ts'
import { leastLoad } from './least-load.ts'
import { powerOfTwo } from './power-of-two.ts'
import { leastLatency } from './least-latency.ts'
import { consistentHash } from './consistent-hash.ts'

/** A worker that may be chosen now: it serves the model, is eligible, and has room. */
export interface Candidate {
  readonly id: string
  readonly url: string
  readonly weight: number
  /** Calls in flight to it from this pool. */
  readonly inFlight: number
  /** Prompt tokens sent there whose first token has not come yet. */
  readonly backlogTokens: number
  /** Exponentially weighted mean time to first token (or to the whole answer when it does not stream), ms; 0 until known. */
  readonly latency: number
  /** Sequence number of the last pick that chose it; 0 when never. */
  readonly lastTurn: number
}

/** What a policy may ask of its pool besides the candidates. */
export interface PoolSense {
  readonly now: number
  random(): number
  /** Prompt tokens of this ask that worker already holds in its KV cache, as far as the pool knows. */
  match(workerId: string): number
}

/** Returns the index of the chosen candidate. `candidates` is never empty. */
export type Choose = (ask: Ask, candidates: readonly Candidate[], sense: PoolSense) => number

export interface Policy {
  readonly name: string
  /** One line for `--help` and the README. */
  readonly about: string
  readonly choose: Choose
}

export const policies: readonly Policy[] = [
  leastLoad,
  roundRobin,
  random,
  powerOfTwo,
  leastLatency,
  consistentHash,
]
