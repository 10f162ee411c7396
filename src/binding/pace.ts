// How fast one worker is against the mean of its pool.

/** Fewer samples say nothing. */
const LEAST_SAMPLES = 20
/** Off by no more than this factor is noise. */
const DEAD_BAND = 1.25
/** Least weight of a new sample: the last thirty or so decide. */
const GAIN = 0.03
/** A single sample counts as if it were off by this factor at most. */
const MOST_OFF = 8

export class Pace {
  #log = 0
  #samples = 0

  /** 1: the pool's mean; 2: twice as fast. */
  get speed(): number {
    if (this.#samples < LEAST_SAMPLES) return 1
    const speed = Math.exp(this.#log)
    return speed > DEAD_BAND || speed < 1 / DEAD_BAND ? speed : 1
  }

  /** What a worker of mean speed would have taken, and what this one took, in seconds. */
  learn(predicted: number, seen: number): void {
    const ratio = Math.min(MOST_OFF, Math.max(1 / MOST_OFF, predicted / seen))
    this.#samples++
    this.#log += Math.max(1 / this.#samples, GAIN) * (Math.log(ratio) - this.#log)
  }
}
