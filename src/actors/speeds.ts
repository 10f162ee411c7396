// How fast workers read prompts, learned from how long their first tokens took.
import type { Seat } from './seat.ts'

/** What a sample counts for once another came: the last fifty or so decide. */
const KEEP = 0.98
/** Fewer samples say nothing. */
const LEAST_SAMPLES = 20
/** A worker that is off by no more than this share is taken to be as fast as the others: less is noise. */
const DEAD_BAND = 0.25
/** A single sample moves the estimate as if it were off by this factor at most. */
const MOST_OFF = 4
/** Shorter waits are mostly the way there and back: predicted ones, and those seen, in seconds. */
const LEAST_PREDICTED = 0.05
const LEAST_SEEN = 0.25

/** Speeds in prompt tokens a second: work sent ahead and own, over the time until the first token came. */
export class Speeds {
  nominal: number
  readonly #all = { tokens: 0, seconds: 0, samples: 0 }

  /** `nominal`: of a worker that nothing is known of. */
  constructor(nominal: number) {
    this.nominal = nominal
  }

  /** A seat that is new, or whose worker began anew. */
  reset(seat: Seat): void {
    seat.prefilled = { tokens: 0, seconds: 0, samples: 0 }
    seat.speed = this.nominal
  }

  /** A first token came after `seconds`, with so many tokens to read until then. Returns true when the nominal speed changed. */
  learn(seat: Seat, tokens: number, seconds: number): boolean {
    const known = seat.prefilled.samples > 0 ? ratio(seat.prefilled) : this.nominal
    const predicted = tokens / known
    if (predicted < LEAST_PREDICTED && seconds < LEAST_SEEN) return false
    const bounded = Math.min(predicted * MOST_OFF, Math.max(predicted / MOST_OFF, seconds))
    add(seat.prefilled, tokens, bounded)
    add(this.#all, tokens, bounded)
    const before = this.nominal
    const seen = ratio(this.#all)
    if (this.#all.samples >= LEAST_SAMPLES && isOff(seen, this.nominal)) this.nominal = seen
    this.settle(seat)
    return this.nominal !== before
  }

  /** The nominal speed changed: what it means for a seat. */
  settle(seat: Seat): void {
    const own = ratio(seat.prefilled)
    const isKnown = seat.prefilled.samples >= LEAST_SAMPLES && isOff(own, this.nominal)
    seat.speed = isKnown ? own : this.nominal
  }
}

const ratio = ({ tokens, seconds }: { tokens: number; seconds: number }): number => tokens / seconds

const isOff = (speed: number, from: number): boolean => Math.abs(speed / from - 1) > DEAD_BAND

function add(sum: { tokens: number; seconds: number; samples: number }, tokens: number, seconds: number) {
  sum.tokens = sum.tokens * KEEP + tokens
  sum.seconds = sum.seconds * KEEP + seconds
  sum.samples++
}
