// Since when each engine has been up, as the router sees it.
import type { SeatView } from '../../actors/seat.ts'

export class Uptimes {
  readonly #since = new Map<string, number>()
  /** Those that are there at the first look were there from the beginning. */
  #startedAt: number | null

  constructor(startedAt: number) {
    this.#startedAt = startedAt
  }

  /** Looks at the engines as they are at `at` (epoch ms). */
  look(workers: readonly Pick<SeatView, 'url' | 'state'>[], at: number): void {
    const up = new Set(workers.filter(({ state }) => state !== 'down').map(({ url }) => url))
    for (const url of this.#since.keys()) if (!up.has(url)) this.#since.delete(url)
    for (const url of up) if (!this.#since.has(url)) this.#since.set(url, this.#startedAt ?? at)
    if (up.size > 0) this.#startedAt = null
  }

  /** Seconds; 0: it is down. */
  of(url: string, at: number): number {
    const since = this.#since.get(url)
    return since === undefined ? 0 : Math.max(0, (at - since) / 1000)
  }
}
