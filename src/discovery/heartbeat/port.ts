// Heartbeats over ZeroMQ, where a runtime can listen: a ROUTER, which tries again while its port is taken.
import { decodeMsgpack } from '../../msgpack.ts'
import { parseEndpoint } from '../../zmtp/address.ts'
import { Router } from '../../zmtp/binding.ts'
import { readBeat, type Beat } from './beat.ts'
import { hearing, type Door, type DoorSeams } from './source.ts'

/** A heartbeat is a dozen short values. */
const LIMITS = { bytes: 4096, items: 256, keys: 64 }
/** A port that is taken is tried again after this, ms. */
const AGAIN = 5_000

/** The source that hears heartbeats, by ZeroMQ where a port is configured. */
export const heartbeatSource = hearing((...given) => new Port(...given))

class Port implements Door {
  problem: string | null = null
  readonly #listen: string
  readonly #seams: DoorSeams
  readonly #hear: (read: () => Beat) => void
  #router: Router | null = null
  #isClosed = false
  #cancel = () => {}

  constructor(listen: string, seams: DoorSeams, hear: (read: () => Beat) => void) {
    this.#listen = listen
    this.#seams = seams
    this.#hear = hear
    seams.after(this.#bind())
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
    this.#router?.close()
  }

  async #bind(): Promise<void> {
    const { sockets, now, random, timer, log, after } = this.#seams
    const listen = this.#listen
    try {
      if (!sockets) throw new Error('this runtime opens no sockets: send heartbeats by HTTP')
      const router = await Router.bind({
        sockets,
        clock: { now, random, timer },
        address: parseEndpoint(listen),
        onMessage: (_, parts) => this.#hear(() => beatOf(parts)),
      })
      if (this.#isClosed) return router.close()
      this.#router = router
      this.problem = null
      log({ level: 'info', message: `heartbeats of workers come in at ${listen}`, port: router.port })
    } catch (error) {
      if (this.#isClosed) return
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== this.problem)
        log({ level: 'error', message: `no heartbeats come in at ${listen}: ${reason}` })
      this.problem = reason
      this.#cancel = timer(AGAIN, () => after(this.#bind()))
    }
  }
}

/** A DEALER sends one part, a REQ an empty one before it. */
const beatOf = (parts: readonly Uint8Array[]): Beat =>
  readBeat(decodeMsgpack(parts.at(-1) ?? new Uint8Array(0), LIMITS), true)
