// Workers that nobody named: keeps the registry's records equal to what the sources of discovery want. A worker that is named
// by flag, file, API or its own call has the URL for itself.
import type { Config } from '../config/schema.ts'
import type { Heard, Source, SourceKind, SourceStatus, Wanted } from '../discovery/source.ts'
import type { ActorState } from './actor.ts'
import type { WorkerRecord } from './members.ts'

/** What the registry lends. */
export interface Records {
  readonly all: Map<string, WorkerRecord>
  /** Adds a record; its id comes from the key, so that another worker at the same URL is another. */
  insert(wanted: Wanted): WorkerRecord | null
  /** Workers came, went or changed. */
  changed(): void
}

/** A source that runs. */
interface Running {
  readonly rules: string
  /** Null while it is loaded. */
  source: Source | null
  /** Resolves when it is there. */
  begun: Promise<void>
}

type Seams = Pick<ActorState, 'now' | 'random' | 'timer' | 'log' | 'after' | 'outside' | 'sockets' | 'parts'>

export class Discovered {
  readonly #seams: Seams
  readonly #records: Records
  readonly #kinds: readonly SourceKind[]
  readonly #running = new Map<string, Running>()
  /** What each source wants. */
  readonly #wanted = new Map<string, readonly Wanted[]>()
  /** Our records by key, and what was wanted when they were written. */
  readonly #own = new Map<string, { readonly record: WorkerRecord; wanted: Wanted }>()
  /** Keys of workers that were removed by the API: they stay away as long as their source wants them. */
  readonly #dismissed = new Set<string>()
  #wasSettled = false
  /** Workers have told of themselves. */
  #hasHeard = false

  constructor(seams: Seams, records: Records) {
    this.#seams = seams
    this.#records = records
    this.#kinds = seams.parts?.sources ?? []
  }

  /** Starts the sources that a configuration asks for, anew where their rules have changed, and stops the others. */
  configure(config: Config): void {
    for (const kind of this.#kinds) {
      const wished = kind.rules(config, this.#hasHeard)
      const rules = wished === null ? null : JSON.stringify(wished)
      const running = this.#running.get(kind.name)
      running?.source?.configure?.(config)
      if ((running?.rules ?? null) === rules) continue
      running?.source?.stop()
      this.#running.delete(kind.name)
      if (rules === null) {
        this.#wanted.delete(kind.name)
        this.reconcile()
      } else this.#begin(kind, config, rules)
    }
  }

  /** A worker tells of itself; begins the source that hears it where it does not run yet. */
  async hear(config: Config, value: unknown, isTrusted: boolean): Promise<Heard> {
    if (!this.#hasHeard) {
      this.#hasHeard = true
      this.configure(config)
    }
    const name = this.#kinds.find((kind) => kind.hears)?.name ?? ''
    await this.#running.get(name)?.begun
    const heard = this.#running.get(name)?.source?.hear?.(value, isTrusted)
    return heard ?? { kind: 'invalid', message: 'nobody hears heartbeats here' }
  }

  /** What was removed by the API does not come back; when it stood in the way of a worker that is wanted, that one comes. */
  removed({ id }: WorkerRecord): void {
    for (const [key, { record }] of this.#own) if (record.id === id) this.#dismissed.add(key)
    this.reconcile()
  }

  /** A worker with that URL is named now: ours goes. */
  yield(url: string): void {
    for (const [key, { record }] of this.#own) if (record.spec.url === url) this.#drop(key)
  }

  /** Every source knows its workers, or has tried. */
  isSettled(): boolean {
    return [...this.#running.values()].every(({ source }) => source?.status().isSettled ?? false)
  }

  status(): SourceStatus[] {
    return [...this.#running.values()].flatMap(({ source }) => (source ? [source.status()] : []))
  }

  /** Makes the records equal to what is wanted. True: they were not. */
  reconcile(): boolean {
    const all = [...this.#wanted.values()].flat()
    const chosen = chooseByUrl(all)
    let isOther = false
    for (const key of this.#own.keys()) {
      if (chosen.has(key)) continue
      this.#drop(key)
      isOther = true
    }
    for (const wanted of chosen.values()) isOther = this.#put(wanted) || isOther
    const keys = new Set(all.map(({ key }) => key))
    for (const key of this.#dismissed) if (!keys.has(key)) this.#dismissed.delete(key)
    if (isOther) this.#records.changed()
    return isOther
  }

  #begin(kind: SourceKind, config: Config, rules: string): void {
    const running: Running = { rules, source: null, begun: Promise.resolve() }
    this.#running.set(kind.name, running)
    running.begun = this.#load(kind, config, running)
    this.#seams.after(running.begun)
  }

  async #load(kind: SourceKind, config: Config, running: Running): Promise<void> {
    const maker = await kind.load()
    // Another configuration came meanwhile.
    if (this.#running.get(kind.name) !== running) return
    running.source = maker.make(config, this.#seams, (workers) => {
      if (this.#running.get(kind.name) !== running) return
      if (workers) this.#wanted.set(kind.name, workers)
      const wasSettled = this.#wasSettled
      this.#wasSettled = this.isSettled()
      // Those who wait for the first workers are told that there are none, too.
      if (!this.reconcile() && !wasSettled && this.#wasSettled) this.#records.changed()
    })
    running.source.start()
  }

  /** True: something is other than before. */
  #put(wanted: Wanted): boolean {
    const own = this.#own.get(wanted.key)
    if (!own || this.#records.all.get(own.record.id) !== own.record) return this.#insert(wanted)
    const { record } = own
    const isOtherSpec = JSON.stringify(own.wanted.spec) !== JSON.stringify(wanted.spec)
    const isOtherDrain = own.wanted.draining !== wanted.draining
    // Only what the source itself changed: an operator's drain stays.
    if (isOtherSpec) record.spec = wanted.spec
    if (isOtherDrain) record.draining = wanted.draining
    own.wanted = wanted
    return isOtherSpec || isOtherDrain
  }

  #insert(wanted: Wanted): boolean {
    this.#own.delete(wanted.key)
    if (this.#dismissed.has(wanted.key)) return false
    const { url } = wanted.spec
    for (const { spec } of this.#records.all.values()) if (spec.url === url) return false
    const record = this.#records.insert(wanted)
    if (!record) return false
    record.draining = wanted.draining
    this.#own.set(wanted.key, { record, wanted })
    return true
  }

  #drop(key: string): void {
    const own = this.#own.get(key)
    if (own && this.#records.all.get(own.record.id) === own.record) this.#records.all.delete(own.record.id)
    this.#own.delete(key)
  }
}

/** One for each URL: one that is leaving gives way to its successor at the same address. */
function chooseByUrl(all: readonly Wanted[]): ReadonlyMap<string, Wanted> {
  const byUrl = new Map<string, Wanted>()
  for (const wanted of all) {
    const other = byUrl.get(wanted.spec.url)
    if (!other || (other.draining && !wanted.draining)) byUrl.set(wanted.spec.url, wanted)
  }
  return new Map([...byUrl.values()].map((wanted) => [wanted.key, wanted]))
}
