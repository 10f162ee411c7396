// What is done to a trace so that a policy's weak side shows.
import { seeded } from '../simulator/clock.ts'
import type { Arrival } from './arrivals.ts'
import type { ReplayOptions } from './options.ts'

/** Blocks of the prompt that becomes everybody's beginning: 16,384 tokens. */
const HOT_BLOCKS = 32

/**
 * A prompt becomes hot: from the middle (`at`) on, a share (`hot`) of the requests begins with the same 16,384 tokens, or with as
 * much of them as they are long. Their lengths stay; what follows is theirs alone.
 */
export function warmed(arrivals: readonly Arrival[], { hot, at, seed }: ReplayOptions): readonly Arrival[] {
  if (hot === 0) return arrivals
  const random = seeded(seed + 7919)
  const from = (arrivals.at(-1)?.arrival ?? 0) * at
  let highest = 0
  for (const { blocks } of arrivals) for (const block of blocks) highest = Math.max(highest, block)
  return arrivals.map((arrival) => {
    if (arrival.arrival < from || random() >= hot) return arrival
    const blocks = arrival.blocks.map((block, i) =>
      i < HOT_BLOCKS ? highest + 1 + i : highest + HOT_BLOCKS + 1 + block,
    )
    return { ...arrival, blocks, prompt: null }
  })
}
