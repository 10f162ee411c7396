// The yardstick of replays: greedy like least_cost, but it sees the engines' true caches and queues. No router could.
import type { Choose, Policy } from '../policies/policy.ts'
import { prefillSeconds, tokensOf, type Engine, type Job } from './engine.ts'

/** What recomputing costs the fleet beyond the request's own time. */
const ALPHA = 2
/** Seconds for each call in flight. */
const BETA = 0.02
/** Seconds for being over the KV capacity by all of it. */
const GAMMA = 10
const EQUAL = 1e-12

/** What the oracle sees. */
export interface Truth<J extends Job> {
  engine(workerId: string): Engine<J>
  job(askId: string): J
  /** Prompt blocks of the calls in flight on a worker. */
  activeBlocks(workerId: string): number
}

/** Answers the policy for one run. */
export function oracle<J extends Job>(truth: Truth<J>): Policy {
  const choose: Choose = (ask, candidates, sense) => {
    const job = truth.job(ask.id)
    let best = 0
    let least = Infinity
    let equals = 0
    candidates.forEach(({ id, inFlight }, i) => {
      const engine = truth.engine(id)
      const cached = tokensOf(engine.matchedSoon(job.blocks), job)
      const own = prefillSeconds(engine.times, cached, job.input)
      const { capacity } = engine.cache
      const over = Math.max(0, truth.activeBlocks(id) + job.blocks.length - capacity)
      const cost = engine.prefillBacklog + own * (1 + ALPHA) + BETA * inFlight + (GAMMA * over) / capacity
      if (cost < least - EQUAL) {
        least = cost
        equals = 1
        best = i
      } else if (cost <= least + EQUAL && Math.floor(sense.random() * ++equals) === 0) best = i
    })
    return best
  }
  return { name: 'oracle', needsPrefix: false, choose }
}
