// SUB: follows publishers over one address, connecting (again and again) or, where publishers connect, listening.
import { endpointOf } from './address.ts'
import { Session } from './session.ts'
import type { Clock, SocketAddress, Sockets, Wire } from './wire.ts'

/** Between attempts to connect, ms: doubled up to the most, and up to a fifth shorter by chance. */
const FIRST_PAUSE = 100
const MOST_PAUSE = 5000
/** A connection that stood so long was a good one: the next pause is the first again. */
const GOOD_LIFE = 10_000
const CONNECT_TIME = 5000

export interface Hearer {
  /** A message, with all its parts. The next one waits for what it returns. */
  message(parts: readonly Uint8Array[]): void | Promise<void>
  /** A publisher is there; what it published before is lost. */
  up(): void
  /** The last publisher went, or none could be reached. Told once until one is there. */
  down(reason: string): void
}

export interface SubscriberOptions {
  readonly sockets: Sockets
  readonly clock: Clock
  readonly address: SocketAddress
  /** It listens there, and publishers connect. */
  readonly isBound?: boolean
  /** Beginnings of first parts; default: everything. */
  readonly topics?: readonly string[]
  readonly hearer: Hearer
}

export class Subscriber {
  readonly #options: SubscriberOptions
  readonly #sessions = new Set<Session>()
  readonly #abort = new AbortController()
  #isTold = false
  #cancel = () => {}

  /** Begins at `start`. */
  constructor(options: SubscriberOptions) {
    this.#options = options
  }

  /** Resolves when it has ended; never rejects. */
  async start(): Promise<void> {
    if (this.#options.isBound) return this.#bind()
    for (let pause = FIRST_PAUSE; !this.#isOver;) {
      const { clock } = this.#options
      const startedAt = clock.now()
      await this.#connect()
      if (clock.now() - startedAt > GOOD_LIFE) pause = FIRST_PAUSE
      await this.#sleep(pause * (1 - 0.2 * clock.random()))
      pause = Math.min(MOST_PAUSE, pause * 2)
    }
  }

  close(): void {
    this.#abort.abort()
    this.#cancel()
    for (const session of this.#sessions) session.close()
  }

  get #isOver(): boolean {
    return this.#abort.signal.aborted
  }

  async #connect(): Promise<void> {
    const { sockets, address, clock } = this.#options
    const late = new AbortController()
    const cancel = clock.timer(CONNECT_TIME, () => late.abort(new Error('no connection in time')))
    try {
      const wire = await sockets.connect(address, AbortSignal.any([late.signal, this.#abort.signal]))
      cancel()
      await this.#follow(wire)
    } catch (error) {
      this.#down(reasonOf(error))
    } finally {
      cancel()
    }
  }

  /** Listens until it is closed; tries again while the address is taken. */
  async #bind(): Promise<void> {
    const { sockets, address } = this.#options
    if (!sockets.listen) return this.#down(`this runtime can't listen on ${endpointOf(address)}`)
    const accept = (wire: Wire) =>
      void this.#follow(wire).catch((error: unknown) => this.#down(reasonOf(error)))
    while (!this.#isOver) {
      try {
        const listening = await sockets.listen(address, accept)
        this.#abort.signal.addEventListener('abort', () => listening.close())
        if (this.#isOver) listening.close()
        return
      } catch (error) {
        this.#down(reasonOf(error))
        await this.#sleep(MOST_PAUSE)
      }
    }
  }

  /** Reads one connection to its end. */
  async #follow(wire: Wire): Promise<void> {
    const { clock, topics = [''], hearer } = this.#options
    const session = await Session.open(wire, { type: 'SUB', clock })
    this.#sessions.add(session)
    let reason = 'the publisher ended the connection'
    try {
      if (this.#isOver) return
      for (const topic of topics) await session.subscribe(new TextEncoder().encode(topic))
      this.#isTold = false
      hearer.up()
      for (;;) {
        const incoming = await session.receive()
        if (incoming === null || this.#isOver) return
        if (incoming.kind === 'message') await hearer.message(incoming.parts)
      }
    } catch (error) {
      reason = reasonOf(error)
    } finally {
      session.close()
      this.#sessions.delete(session)
      if (this.#sessions.size === 0) this.#down(reason)
    }
  }

  #down(reason: string): void {
    if (this.#isTold || this.#isOver) return
    this.#isTold = true
    this.#options.hearer.down(reason)
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver) return resolve()
      const stop = this.#options.clock.timer(ms, resolve)
      this.#cancel = () => {
        stop()
        resolve()
      }
    })
  }
}

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
