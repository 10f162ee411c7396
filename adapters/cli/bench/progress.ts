// A bar that fills while calls are made: on the terminal as it goes, elsewhere one line at the end.

const WIDTH = 30

export class Progress {
  readonly #label: string
  readonly #total: number
  #done = 0
  #shownAt = 0

  constructor(label: string, total: number) {
    this.#label = label
    this.#total = total
  }

  /** One more is done. */
  step(): void {
    this.#done++
    const now = performance.now()
    const isLast = this.#done >= this.#total
    if (!isLast && (!process.stderr.isTTY || now - this.#shownAt < 50)) return
    this.#shownAt = now
    process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${this.#line()}${isLast ? '\n' : ''}`)
  }

  #line(): string {
    const filled = Math.floor((WIDTH * this.#done) / Math.max(1, this.#total))
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled)
    const percent = Math.floor((100 * this.#done) / Math.max(1, this.#total))
    return `${this.#label} ${bar} ${String(percent).padStart(3)}% ${this.#done}/${this.#total}`
  }
}
