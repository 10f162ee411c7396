// PULL: takes what many peers push, and says nothing.
import type { BindOptions } from './binding.ts'
import { Session } from './session.ts'
import type { Listening, Wire } from './wire.ts'

export interface PullOptions extends BindOptions {
  readonly onMessage: (parts: readonly Uint8Array[]) => void
}

/** A PULL socket that listens. */
export class Puller {
  readonly #listening: Listening
  readonly #sessions = new Set<Session>()

  private constructor(listening: Listening) {
    this.#listening = listening
  }

  /** Rejects when the address is taken, or where the runtime can't listen. */
  static async bind(options: PullOptions): Promise<Puller> {
    const { sockets, address } = options
    if (!sockets.listen) throw new Error("this runtime can't listen on a TCP port")
    const accept = (wire: Wire) => void puller.#serve(wire, options)
    const puller: Puller = new Puller(await sockets.listen(address, accept))
    return puller
  }

  get port(): number {
    return this.#listening.port
  }

  close(): void {
    this.#listening.close()
    for (const session of this.#sessions) session.close()
  }

  async #serve(wire: Wire, { clock, onMessage, onError }: PullOptions): Promise<void> {
    let session: Session | null = null
    try {
      session = await Session.open(wire, { type: 'PULL', clock })
      this.#sessions.add(session)
      for (let incoming = await session.receive(); incoming; incoming = await session.receive())
        if (incoming.kind === 'message') onMessage(incoming.parts)
    } catch (error) {
      onError?.(error)
    } finally {
      if (session) this.#sessions.delete(session)
      wire.close()
    }
  }
}
