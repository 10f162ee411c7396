// How often a worker failed or did well in a row, as the Rust routers show it of their breakers.
import type { PoolView } from '../../actors/pool-view.ts'

export interface Run {
  failures: number
  successes: number
}

export class Runs {
  readonly #byUrl = new Map<string, Run>()

  failed(url: string): void {
    const run = this.#of(url)
    run.failures++
    run.successes = 0
  }

  succeeded(url: string): void {
    const run = this.#of(url)
    run.successes++
    run.failures = 0
  }

  /** Of those that are workers still. */
  of({ workers }: PoolView): ReadonlyMap<string, Run> {
    const urls = new Set(workers.map(({ url }) => url.replace(/@\d+$/, '')))
    for (const url of this.#byUrl.keys()) if (!urls.has(url)) this.#byUrl.delete(url)
    return this.#byUrl
  }

  #of(url: string): Run {
    let run = this.#byUrl.get(url)
    if (!run) this.#byUrl.set(url, (run = { failures: 0, successes: 0 }))
    return run
  }
}
