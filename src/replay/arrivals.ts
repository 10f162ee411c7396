// When the requests of a trace arrive: bursts that only come from rounded times are spread, and time is made to pass faster.
import { seeded } from '../simulator/clock.ts'
import type { TraceRequest } from './trace.ts'

/** Times of a trace may be rounded to this many seconds. */
const QUANTUM = 3

/** A request with the second at which it arrives in the replay. */
export interface Arrival extends TraceRequest {
  readonly index: number
  readonly arrival: number
  readonly session: string
}

/**
 * Spreads each burst of equal times over the gap behind it, but no more than 3 s: evenly with seed 0, by chance inside the gap
 * with any other.
 * @param requests in the order of time
 * @param speed how many times faster than recorded
 */
export function arrivalsOf(
  requests: readonly TraceRequest[],
  { speed, seed }: { speed: number; seed: number },
): Arrival[] {
  const random = seed === 0 ? null : seeded(seed)
  const sessions = sessionsOf(requests)
  const spread: { request: TraceRequest; session: string; arrival: number }[] = []
  for (let from = 0, to = 0; from < requests.length; from = to) {
    const { at } = requests[from] as TraceRequest
    while (to < requests.length && requests[to]?.at === at) to++
    const gap = Math.min(QUANTUM, (requests[to]?.at ?? Infinity) - at)
    for (let i = from; i < to; i++) {
      const share = random ? random() : (i - from) / (to - from)
      const session = sessions[i] as string
      spread.push({ request: requests[i] as TraceRequest, session, arrival: (at + gap * share) / speed })
    }
  }
  return spread
    .sort((a, b) => a.arrival - b.arrival)
    .map(({ request, session, arrival }, index) => ({ ...request, session, arrival, index }))
}

/** Where the trace does not say it: the first block that is not everybody's beginning names the conversation. */
function sessionsOf(requests: readonly TraceRequest[]): string[] {
  const counts = new Map<number, number>()
  for (const { blocks } of requests)
    for (const block of blocks) counts.set(block, (counts.get(block) ?? 0) + 1)
  const shared = Math.max(60, Math.floor(requests.length / 150))
  return requests.map(
    ({ session, blocks }) =>
      session ?? `b${blocks.find((block) => (counts.get(block) as number) <= shared) ?? blocks.at(-1)}`,
  )
}
