// Workers that tell of themselves again and again, over ZeroMQ or HTTP: each stays as long as it does.
import { isSame } from '../../admission/auth.ts'
import type { Config, WorkerSpec } from '../../config/schema.ts'
import { opaqueId } from '../../hash.ts'
import { decodeMsgpack } from '../../msgpack.ts'
import { parseEndpoint } from '../../zmtp/address.ts'
import { Router } from '../../zmtp/binding.ts'
import type { Heard, Source, SourceMaker, SourceSeams, SourceStatus, Want, Wanted } from '../source.ts'
import { readBeat, type Beat } from './beat.ts'

/** A heartbeat is a dozen short values. */
const LIMITS = { bytes: 4096, items: 256, keys: 64 }
/** More than any fleet has; what strangers send must not fill the memory. */
const MOST_WORKERS = 4096
/** Problems that are told apart in the log; after that, none. */
const MOST_PROBLEMS = 50
/** A port that is taken is tried again after this, ms. */
const AGAIN = 5_000

/** The source that hears heartbeats. */
export const heartbeatSource: SourceMaker = {
  make: (config, seams, want) => new HeartbeatSource(config, seams, want),
  // A port that is taken is told in the log, and tried again.
  check: () => Promise.resolve(),
}

interface Beating {
  readonly wanted: Wanted
  /** When it leaves unless it beats again. */
  until: number
}

class HeartbeatSource implements Source {
  #config: Config
  readonly #seams: SourceSeams
  readonly #want: Want
  readonly #beating = new Map<string, Beating>()
  readonly #told = new Set<string>()
  #router: Router | null = null
  #problem: string | null = null
  #refused = 0
  #isStopped = false
  #cancelBind = () => {}
  #cancelExpiry = () => {}
  #heardAt = 0

  constructor(config: Config, seams: SourceSeams, want: Want) {
    this.#config = config
    this.#seams = seams
    this.#want = want
  }

  start(): void {
    this.#want([])
    if (this.#config.heartbeatListen !== undefined)
      this.#seams.after(this.#bind(this.#config.heartbeatListen))
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelBind()
    this.#cancelExpiry()
    this.#router?.close()
  }

  status(): SourceStatus {
    return {
      name: 'heartbeat',
      isSettled: true,
      synced_at: this.#heardAt === 0 ? null : new Date(this.#heardAt).toISOString(),
      problem: this.#problem,
      workers: this.#beating.size,
      counts: { refused_beats: this.#refused },
    }
  }

  configure(config: Config): void {
    this.#config = config
  }

  /** A heartbeat by HTTP. `isTrusted`: its sender has shown that it may. */
  hear(value: unknown, isTrusted: boolean): Heard {
    try {
      return this.#take(readBeat(value, false), isTrusted)
    } catch (error) {
      return this.#refuse('invalid', error instanceof Error ? error.message : String(error))
    }
  }

  async #bind(listen: string): Promise<void> {
    const { sockets, now, random, timer, log } = this.#seams
    try {
      if (!sockets) throw new Error('this runtime opens no sockets: send heartbeats by HTTP')
      const router = await Router.bind({
        sockets,
        clock: { now, random, timer },
        address: parseEndpoint(listen),
        onMessage: (_, parts) => this.#hearFrame(parts),
      })
      if (this.#isStopped) return router.close()
      this.#router = router
      this.#problem = null
      log({ level: 'info', message: `heartbeats of workers come in at ${listen}`, port: router.port })
    } catch (error) {
      if (this.#isStopped) return
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== this.#problem)
        log({ level: 'error', message: `no heartbeats come in at ${listen}: ${reason}` })
      this.#problem = reason
      this.#cancelBind = timer(AGAIN, () => this.#seams.after(this.#bind(listen)))
    }
  }

  /** A DEALER sends one part, a REQ an empty one before it. */
  #hearFrame(parts: readonly Uint8Array[]): void {
    try {
      const value = decodeMsgpack(parts.at(-1) ?? new Uint8Array(0), LIMITS)
      this.#take(readBeat(value, true), false)
    } catch (error) {
      this.#refuse('invalid', error instanceof Error ? error.message : String(error))
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
