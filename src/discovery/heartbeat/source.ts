// Workers that tell of themselves again and again, by HTTP or at a door of their own: each stays as long as it does.
import { isSame } from '../../admission/auth.ts'
import type { Config, WorkerSpec } from '../../config/schema.ts'
import { opaqueId } from '../../hash.ts'
import type { Heard, Source, SourceMaker, SourceSeams, SourceStatus, Want, Wanted } from '../source.ts'
import { readBeat, type Beat } from './beat.ts'

/** More than any fleet has; what strangers send must not fill the memory. */
const MOST_WORKERS = 4096
/** Problems that are told apart in the log; after that, none. */
const MOST_PROBLEMS = 50

/** What a door may use. */
export type DoorSeams = Pick<SourceSeams, 'now' | 'random' | 'timer' | 'log' | 'after' | 'sockets'>

/** Where heartbeats come in besides HTTP. */
export interface Door {
  /** Why none come in now; null: they do. */
  readonly problem: string | null
  close(): void
}

/** Opens a door at `heartbeatListen`; `hear` is given what reads a heartbeat, and throws where it is none. */
export type OpenDoor = (listen: string, seams: DoorSeams, hear: (read: () => Beat) => void) => Door

/** The source that hears heartbeats: by HTTP alone where no doors can be opened. */
export const hearing = (open?: OpenDoor): SourceMaker => ({
  make: (config, seams, want) => new HeartbeatSource(config, seams, want, open),
  // A port that is taken is told in the log, and tried again.
  check: () => Promise.resolve(),
})

interface Beating {
  readonly wanted: Wanted
  /** When it leaves unless it beats again. */
  until: number
}

class HeartbeatSource implements Source {
  #config: Config
  readonly #seams: SourceSeams
  readonly #want: Want
  readonly #open: OpenDoor | undefined
  readonly #beating = new Map<string, Beating>()
  readonly #told = new Set<string>()
  #door: Door | null = null
  #refused = 0
  #cancelExpiry = () => {}
  #heardAt = 0

  constructor(config: Config, seams: SourceSeams, want: Want, open?: OpenDoor) {
    this.#config = config
    this.#seams = seams
    this.#want = want
    this.#open = open
  }

  start(): void {
    this.#want([])
    const { heartbeatListen } = this.#config
    if (heartbeatListen !== undefined)
      this.#door = this.#open?.(heartbeatListen, this.#seams, (read) => this.#heed(read, false)) ?? null
  }

  stop(): void {
    this.#cancelExpiry()
    this.#door?.close()
  }

  status(): SourceStatus {
    return {
      name: 'heartbeat',
      isSettled: true,
      synced_at: this.#heardAt === 0 ? null : new Date(this.#heardAt).toISOString(),
      problem: this.#door?.problem ?? null,
      workers: this.#beating.size,
      counts: { refused_beats: this.#refused },
    }
  }

  configure(config: Config): void {
    this.#config = config
  }

  /** A heartbeat by HTTP. `isTrusted`: its sender has shown that it may. */
  hear(value: unknown, isTrusted: boolean): Heard {
    return this.#heed(() => readBeat(value, false), isTrusted)
  }

  #heed(read: () => Beat, isTrusted: boolean): Heard {
    try {
      return this.#take(read(), isTrusted)
    } catch (error) {
      return this.#refuse('invalid', error instanceof Error ? error.message : String(error))
    }
  }

  #take({ spec: told, token }: Beat, isTrusted: boolean): Heard {
    const { heartbeatToken: needed, heartbeatTimeout, heartbeatModels: models } = this.#config
    const spec = told.models === undefined && models.length > 0 ? { ...told, models } : told
    const { url } = spec
    if (needed !== undefined && !isTrusted && !isSame(token ?? '', needed))
      return this.#refuse('forbidden', `${url} does not carry the token`)
    const known = this.#beating.get(url)
    if (!known && this.#beating.size >= MOST_WORKERS) return this.#refuse('invalid', 'too many workers beat')
    const now = this.#seams.now()
    this.#heardAt = now
    const wanted: Wanted = { key: keyOf(spec), spec, draining: false, source: 'beat' }
    const until = heartbeatTimeout === 0 ? Infinity : now + heartbeatTimeout
    const isOther = !known || JSON.stringify(known.wanted.spec) !== JSON.stringify(spec)
    if (isOther) {
      this.#beating.set(url, { wanted, until })
      if (!known)
        this.#seams.log({ level: 'info', message: `worker ${url} registers itself`, role: spec.role })
      this.#tell()
      if (this.#beating.size === 1) this.#expireLater()
    } else known.until = until
    return {
      kind: 'heard',
      worker: opaqueId('w', wanted.key),
      url,
      isNew: !known,
      expiresIn: heartbeatTimeout,
    }
  }

  #refuse(kind: 'invalid' | 'forbidden', message: string): Heard {
    this.#refused++
    if (!this.#told.has(message) && this.#told.size < MOST_PROBLEMS) {
      this.#told.add(message)
      this.#seams.log({ level: 'warn', message: `a heartbeat is passed over: ${message}` })
    }
    return { kind, message }
  }

  #tell(): void {
    this.#want([...this.#beating.values()].map(({ wanted }) => wanted))
  }

  /** Looks when the next one might have expired. */
  #expireLater(): void {
    this.#cancelExpiry()
    if (this.#config.heartbeatTimeout === 0) return
    const next = Math.min(...[...this.#beating.values()].map(({ until }) => until))
    if (next === Infinity) return
    this.#cancelExpiry = this.#seams.timer(Math.max(1, next - this.#seams.now()), () => this.#expire())
  }

  #expire(): void {
    const now = this.#seams.now()
    let hasGone = false
    for (const [url, { until }] of this.#beating) {
      if (until > now) continue
      this.#beating.delete(url)
      hasGone = true
      this.#seams.log({ level: 'warn', message: `worker ${url} beats no more: removed` })
    }
    if (hasGone) this.#tell()
    this.#expireLater()
  }
}

/** One that serves in another role, or whose connector is elsewhere, was started anew: what is known of it is none of its own. */
const keyOf = ({ url, role, kvAddress = '' }: WorkerSpec): string => `${role} ${url} ${kvAddress}`
