// Follows all objects of one kind: a list, then a watch that goes on from it. What the watch does not tell (an event that was
// dropped, a connection that is silently dead) the list tells when it is read again.
import type { Host } from '../../host.ts'
import { ApiError, type KubeApi, type Resource } from './api.ts'
import { uidOf, type KubeObject, type WatchEvent } from './objects.ts'

export interface WatchRules {
  /** Milliseconds between two lists; 0: only when the watch can't go on. */
  readonly relist: number
  /** Milliseconds of silence after which a watch is taken to be dead; 0: never. */
  readonly stall: number
}

export interface WatchOptions<T> {
  readonly resource: Resource
  readonly rules: WatchRules
  /** What is kept of an object. */
  trim(object: T): T
  /** The objects are others than before, or were listed for the first time. */
  changed(): void
}

export interface WatchStatus {
  /** When they were last listed, epoch ms; 0: never. */
  readonly listedAt: number
  /** What went wrong last and is not mended; null: all is well. */
  readonly problem: string | null
  /** Watches that were given up because they told nothing, or less than the list. */
  readonly staleWatches: number
}

type Seams = Pick<Host, 'now' | 'random' | 'timer' | 'log'>

/** Whoever fails is tried again after 1 s, 2 s, … up to this. */
const FIRST_PAUSE = 1000
const MAX_PAUSE = 30_000
/** Milliseconds that a list, or the head of a watch, may take. */
const PATIENCE = 15_000
/** A watch that ends sooner was none, unless it told something. */
const SHORT = 1000
/** The server is asked to end a watch after so many seconds, and up to twice that. */
const WATCH_SECONDS = 300

const GONE = 410

export class ObjectWatch<T extends KubeObject> {
  readonly #api: KubeApi
  readonly #seams: Seams
  readonly #options: WatchOptions<T>
  #objects = new Map<string, T>()
  /** Where the next watch goes on; null: a list must tell. */
  #version: string | null = null
  /** Those that the watch told of since the list under way was asked for: it may be older than they are. */
  #touched = new Set<string>()
  #listing: Promise<void> | null = null
  #isPaged = true
  #listedAt = 0
  #problem: string | null = null
  #staleWatches = 0
  /** Ends the watch under way. */
  #endWatch = () => {}
  #cancelRelist = () => {}
  readonly #stopped = new AbortController()

  constructor(api: KubeApi, seams: Seams, options: WatchOptions<T>) {
    this.#api = api
    this.#seams = seams
    this.#options = options
  }

  get objects(): ReadonlyMap<string, T> {
    return this.#objects
  }

  status(): WatchStatus {
    return { listedAt: this.#listedAt, problem: this.#problem, staleWatches: this.#staleWatches }
  }

  /** Lists and watches until `stop`. Never rejects. */
  async run(): Promise<void> {
    let failures = 0
    let shorts = 0
    while (!this.#stopped.signal.aborted) {
      try {
        if (this.#version === null) await this.#list()
        const isLong = await this.#watch(this.#version ?? '')
        failures = 0
        shorts = isLong ? 0 : shorts + 1
        if (shorts > 1) await this.#pause(FIRST_PAUSE)
      } catch (error) {
        if (this.#stopped.signal.aborted) return
        this.#fail(error)
        await this.#pause(pauseAfter(error, failures++, this.#seams.random()))
      }
    }
  }

  stop(): void {
    this.#cancelRelist()
    this.#stopped.abort()
  }

  /** Several that want the list at once get the same one. */
  #list(): Promise<void> {
    return (this.#listing ??= this.#listAll().finally(() => (this.#listing = null)))
  }

  async #listAll(): Promise<void> {
    this.#cancelRelist()
    this.#touched = new Set()
    try {
      const { items, version } = await this.#within(PATIENCE, (signal) =>
        this.#api.list<T>(this.#options.resource, signal, this.#isPaged),
      )
      this.#isPaged = true
      const isFirst = this.#listedAt === 0
      this.#listedAt = this.#seams.now()
      this.#mend()
      if (this.#take(items, version) || isFirst) this.#options.changed()
    } catch (error) {
      // Its pages are of one version, which the server did not keep until all were read.
      if (error instanceof ApiError && error.status === GONE) this.#isPaged = false
      throw error
    } finally {
      this.#armRelist()
    }
  }

  /** Takes over a list. True: it has told something new, and a watch under way that should have is stale. */
  #take(items: readonly T[], version: string): boolean {
    const known = this.#objects
    const next = new Map<string, T>()
    for (const item of items)
      if (!this.#touched.has(uidOf(item))) next.set(uidOf(item), this.#options.trim(item))
    for (const uid of this.#touched) {
      const told = known.get(uid)
      if (told) next.set(uid, told)
    }
    const isOther =
      next.size !== known.size || [...next].some(([uid, one]) => versionOf(one) !== versionOf(known.get(uid)))
    const isWatched = this.#version !== null
    if (isWatched && !isOther) return false
    this.#objects = next
    this.#version = version
    if (isWatched) {
      this.#staleWatches++
      this.#endWatch()
    }
    return isOther
  }

  #armRelist(): void {
    const { relist } = this.#options.rules
    if (relist === 0 || this.#stopped.signal.aborted) return
    this.#cancelRelist = this.#seams.timer(relist, () => {
      this.#list().catch((error: unknown) => {
        if (!this.#stopped.signal.aborted) this.#fail(error)
      })
    })
  }

  /** One watch to its end. False: it told nothing and ended at once. */
  async #watch(version: string): Promise<boolean> {
    const { stall } = this.#options.rules
    const startedAt = this.#seams.now()
    const abort = new AbortController()
    let isStale = false
    let events = 0
    let cancelStall = () => {}
    const heard = () => {
      cancelStall()
      if (stall > 0) cancelStall = this.#seams.timer(stall, stalled)
    }
    const stalled = () => {
      this.#staleWatches++
      this.#version = null
      end()
    }
    const end = () => {
      isStale = true
      abort.abort()
    }
    this.#endWatch = end
    const cancelHead = this.#seams.timer(PATIENCE, () => abort.abort(new Error('the watch was not answered')))
    const stop = () => abort.abort()
    this.#stopped.signal.addEventListener('abort', stop)
    const opened = () => {
      cancelHead()
      heard()
    }
    try {
      const seconds = Math.round(WATCH_SECONDS * (1 + this.#seams.random()))
      const watching = { signal: abort.signal, heard: opened }
      for await (const event of this.#api.watch(this.#options.resource, { version, seconds }, watching)) {
        if (isStale) break
        if (!this.#tell(event)) break
        events++
      }
    } catch (error) {
      if (error instanceof ApiError && error.status === GONE) this.#version = null
      else if (!isStale) throw error
    } finally {
      this.#endWatch = () => {}
      this.#stopped.signal.removeEventListener('abort', stop)
      cancelHead()
      cancelStall()
    }
    return isStale || events > 0 || this.#seams.now() - startedAt >= SHORT
  }

  /** Takes over one event. False: the watch can't go on. */
  #tell({ type, object }: WatchEvent): boolean {
    if (type === 'ERROR') {
      if (object?.code !== GONE) throw new ApiError(object?.code ?? 0, object?.message ?? 'the watch failed')
      this.#version = null
      return false
    }
    const version = object && versionOf(object)
    if (version) this.#version = version
    if (!object || type === 'BOOKMARK') return true
    const uid = uidOf(object)
    if (type === 'DELETED') this.#objects.delete(uid)
    else if (type === 'ADDED' || type === 'MODIFIED') this.#objects.set(uid, this.#options.trim(object as T))
    else return true
    if (this.#listing) this.#touched.add(uid)
    this.#mend()
    this.#options.changed()
    return true
  }

  async #within<R>(ms: number, run: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const abort = new AbortController()
    const cancel = this.#seams.timer(ms, () => abort.abort(new Error(`no answer within ${ms / 1000} s`)))
    const stop = () => abort.abort()
    this.#stopped.signal.addEventListener('abort', stop)
    try {
      return await run(abort.signal)
    } finally {
      this.#stopped.signal.removeEventListener('abort', stop)
      cancel()
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#stopped
    return new Promise((resolve) => {
      const cancel = this.#seams.timer(ms, () => {
        signal.removeEventListener('abort', stop)
        resolve()
      })
      const stop = () => {
        cancel()
        resolve()
      }
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  /** Told once, not with each attempt. */
  #fail(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error)
    if (problem === this.#problem) return
    this.#problem = problem
    const message = `Kubernetes does not tell of ${this.#options.resource.path}: ${problem}`
    this.#seams.log({ level: 'warn', message })
    if (this.#listedAt === 0) this.#options.changed()
  }

  #mend(): void {
    if (this.#problem === null) return
    this.#problem = null
    this.#seams.log({ level: 'info', message: `Kubernetes tells of ${this.#options.resource.path} again` })
  }
}

/** Spread, so that not all routers come back at once; a server that names a time gets it. */
function pauseAfter(error: unknown, failures: number, chance: number): number {
  const own = Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures, 10)) * (0.8 + 0.4 * chance)
  return error instanceof ApiError ? Math.max(own, Math.min(error.retryAfter, 2 * MAX_PAUSE)) : own
}

const versionOf = (object: KubeObject | undefined): string | undefined => object?.metadata?.resourceVersion
