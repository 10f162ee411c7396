// The sides that listen: PUB tells all who asked for it, ROUTER talks to each of many peers.
import { startsWith } from '../openai/bytes.ts'
import { Session } from './session.ts'
import type { Clock, Listening, SocketAddress, Sockets, Wire } from './wire.ts'

/** What a slow peer may have waiting, bytes; a subscriber loses messages behind that, as ZeroMQ's do. */
const MOST_WAITING = 64 * 1024 * 1024

export interface BindOptions {
  readonly sockets: Sockets
  readonly clock: Clock
  readonly address: SocketAddress
  /** Hears of a peer that broke the protocol or went in the middle of something. */
  readonly onError?: (error: unknown) => void
}

/** What a peer has asked for, and what is on its way to it. */
class Outlet {
  readonly session: Session
  readonly topics: Uint8Array[] = []
  #waiting = 0

  constructor(session: Session) {
    this.session = session
  }

  /** False when too much waits already. */
  send(parts: readonly Uint8Array[]): boolean {
    const size = parts.reduce((sum, part) => sum + part.length, 0)
    if (this.#waiting > 0 && this.#waiting + size > MOST_WAITING) return false
    this.#waiting += size
    const sent = () => {
      this.#waiting -= size
    }
    // Reading tells of a connection that broke.
    this.session.send(parts).then(sent, sent)
    return true
  }

  wants(topic: Uint8Array): boolean {
    return this.topics.some((wanted) => startsWith(topic, 0, wanted))
  }
}

/** A PUB socket that listens. */
export class Publisher {
  readonly #outlets = new Set<Outlet>()
  readonly #listening: Listening

  private constructor(listening: Listening) {
    this.#listening = listening
  }

  /** Rejects when the address is taken, or where the runtime can't listen. */
  static async bind(options: BindOptions): Promise<Publisher> {
    const accept = (wire: Wire) => void publisher.#serve(wire, options)
    const publisher: Publisher = new Publisher(await listen(options, accept))
    return publisher
  }

  get port(): number {
    return this.#listening.port
  }

  /** Subscribers that stand, whatever they asked for. */
  get peers(): number {
    return this.#outlets.size
  }

  /** Whether anybody would get a message with this topic. */
  hasHearers(topic = ''): boolean {
    const bytes = new TextEncoder().encode(topic)
    return [...this.#outlets].some((outlet) => outlet.wants(bytes))
  }

  publish(parts: readonly Uint8Array[]): void {
    for (const outlet of this.#outlets) if (outlet.wants(parts[0]!)) outlet.send(parts)
  }

  /** Ends all connections; peers may come again. */
  hangUp(): void {
    for (const { session } of this.#outlets) session.close()
  }

  close(): void {
    this.#listening.close()
    this.hangUp()
  }

  async #serve(wire: Wire, { clock, onError }: BindOptions): Promise<void> {
    let outlet: Outlet | null = null
    try {
      const session = await Session.open(wire, { type: 'PUB', clock })
      this.#outlets.add((outlet = new Outlet(session)))
      for (let incoming = await session.receive(); incoming; incoming = await session.receive()) {
        if (incoming.kind === 'subscribe') outlet.topics.push(incoming.topic.slice())
        if (incoming.kind === 'cancel') drop(outlet.topics, incoming.topic)
      }
    } catch (error) {
      onError?.(error)
    } finally {
      if (outlet) this.#outlets.delete(outlet)
      wire.close()
    }
  }
}

export interface RouterOptions extends BindOptions {
  /** A message of a peer, without its identity; `from` is what `send` takes. */
  readonly onMessage: (from: string, parts: readonly Uint8Array[]) => void
  readonly onLeave?: (peer: string) => void
}

/** A ROUTER socket that listens. Peers are named by their identity as hex text; those without one get a number of ours. */
export class Router {
  readonly #outlets = new Map<string, Outlet>()
  readonly #listening: Listening
  #numbered = 0

  private constructor(listening: Listening) {
    this.#listening = listening
  }

  /** Rejects when the address is taken, or where the runtime can't listen. */
  static async bind(options: RouterOptions): Promise<Router> {
    const accept = (wire: Wire) => void router.#serve(wire, options)
    const router: Router = new Router(await listen(options, accept))
    return router
  }

  get port(): number {
    return this.#listening.port
  }

  /** False: no such peer (any more), or too much waits for it. */
  send(to: string, parts: readonly Uint8Array[]): boolean {
    return this.#outlets.get(to)?.send(parts) ?? false
  }

  /** Ends all connections; peers may come again. */
  hangUp(): void {
    for (const { session } of this.#outlets.values()) session.close()
  }

  close(): void {
    this.#listening.close()
    this.hangUp()
  }

  async #serve(wire: Wire, { clock, onMessage, onLeave, onError }: RouterOptions): Promise<void> {
    let name: string | null = null
    try {
      const session = await Session.open(wire, { type: 'ROUTER', clock })
      const wanted = nameOf(session.identity) ?? `#${++this.#numbered}`
      // The first to come with an identity keeps it, as in ZeroMQ.
      if (this.#outlets.has(wanted)) return
      this.#outlets.set((name = wanted), new Outlet(session))
      for (let incoming = await session.receive(); incoming; incoming = await session.receive())
        if (incoming.kind === 'message') onMessage(name, incoming.parts)
    } catch (error) {
      onError?.(error)
    } finally {
      wire.close()
      if (name !== null) {
        this.#outlets.delete(name)
        onLeave?.(name)
      }
    }
  }
}

async function listen({ sockets, address }: BindOptions, accept: (wire: Wire) => void): Promise<Listening> {
  if (!sockets.listen) throw new Error("this runtime can't listen on a TCP port")
  return sockets.listen(address, accept)
}

function nameOf(identity: Uint8Array): string | null {
  if (identity.length === 0) return null
  return Array.from(identity, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Each cancel takes one subscription back. */
function drop(topics: Uint8Array[], topic: Uint8Array): void {
  const at = topics.findIndex((one) => one.length === topic.length && startsWith(one, 0, topic))
  if (at >= 0) topics.splice(at, 1)
}
