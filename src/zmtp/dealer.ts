// DEALER: asks one question of a ROUTER and reads its answers, for as long as somebody wants them.
import { Session } from './session.ts'
import type { Clock, SocketAddress, Sockets } from './wire.ts'

export interface QuestionOptions {
  readonly sockets: Sockets
  readonly clock: Clock
  readonly address: SocketAddress
  /** Parts of the question, as a REQ socket would send them: an empty one goes before them. */
  readonly question: readonly Uint8Array[]
  /** Silence after which it is given up, ms. */
  readonly patience: number
  readonly signal: AbortSignal
}

/**
 * Yields the answers, each without the empty part that leads it (and a second one, which some engines add). Ends when the other
 * side ends; throws when it can't be reached or falls silent. Whoever has enough leaves the loop: that closes the connection.
 */
export async function* ask(options: QuestionOptions): AsyncGenerator<readonly Uint8Array[]> {
  const { sockets, clock, address, question, patience, signal } = options
  const late = new AbortController()
  const both = AbortSignal.any([late.signal, signal])
  let cancel = () => {}
  const rearm = () => {
    cancel()
    cancel = clock.timer(patience, () => late.abort(new Error(`no answer in ${patience} ms`)))
  }
  rearm()
  let session: Session | null = null
  const leave = () => session?.close()
  try {
    const wire = await sockets.connect(address, both)
    session = await Session.open(wire, { type: 'DEALER', clock })
    both.addEventListener('abort', leave)
    both.throwIfAborted()
    await session.send([new Uint8Array(0), ...question])
    for (;;) {
      const incoming = await session.receive()
      both.throwIfAborted()
      if (incoming === null) return
      rearm()
      if (incoming.kind === 'message') yield withoutEnvelope(incoming.parts)
    }
  } catch (error) {
    both.throwIfAborted()
    throw error
  } finally {
    cancel()
    both.removeEventListener('abort', leave)
    leave()
  }
}

const withoutEnvelope = (parts: readonly Uint8Array[]): readonly Uint8Array[] =>
  parts.length > 1 && parts[0]!.length === 0 ? parts.slice(1) : parts
