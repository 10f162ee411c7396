// Which models exist: the registry's directory, kept here so that a call asks no actor for it.
import type { Directory, ModelEntry } from '../actors/members.ts'
import type { Host } from '../host.ts'

/** A directory older than this is looked at again, beside the call that noticed. */
const FRESH = 1000

const NOTHING: Directory = { version: 0, models: [], wildcard: false, pending: 0, workers: 0 }

export class Models {
  readonly #host: Host
  #directory = NOTHING
  #byName = new Map<string, ModelEntry>()
  #checkedAt = -Infinity
  #pulling: Promise<void> | null = null

  constructor(host: Host) {
    this.#host = host
  }

  /**
   * The name of a known model, as one and the same string for all calls: whoever compares it need not look at its letters.
   * Undefined: unknown. Looks again beside the call now and then, so that it learns what is gone. `now`: epoch ms.
   */
  named(name: string, now: number): string | undefined {
    const known = this.#byName.get(name)
    if (known) this.#refreshLater(now)
    return known?.id
  }

  /** Looks again beside the call now and then, so that names are known where nobody asks for them. */
  glance(now: number): void {
    this.#refreshLater(now)
  }

  /** The entry of a model. Looks again, and waits for workers that were not asked yet, before it says that there is none. */
  async find(name: string): Promise<ModelEntry | null> {
    const known = this.#byName.get(name)
    if (known) {
      this.#refreshLater(this.#host.now())
      return known
    }
    await this.refresh()
    const found = this.#byName.get(name)
    if (found) return found
    const registry = this.#host.registry('main')
    if (this.#directory.pending > 0) await registry.settled()
    // An adapter may have been loaded since the workers were asked.
    else await registry.look()
    await this.refresh()
    return this.#byName.get(name) ?? null
  }

  /** The directory as it is now. */
  async refresh(): Promise<Directory> {
    // A promise of another request might never come to its end.
    if (this.#host.isPerRequest) await this.#pull()
    else await (this.#pulling ??= this.#pull().finally(() => (this.#pulling = null)))
    return this.#directory
  }

  async #pull(): Promise<void> {
    const directory = await this.#host.registry('main').directory(this.#directory.version)
    this.#checkedAt = this.#host.now()
    if (!directory) return
    this.#directory = directory
    this.#byName = new Map(directory.models.map((model) => [model.id, model]))
  }

  /** The name when it is one of a model, else '': labels must not grow with what clients make up. */
  known(name: string | null): string {
    return name !== null && this.#byName.has(name) ? name : ''
  }

  get directory(): Directory {
    return this.#directory
  }

  #refreshLater(now: number): void {
    if (now - this.#checkedAt < FRESH) return
    this.#checkedAt = now
    this.#host.after(this.refresh())
  }
}
