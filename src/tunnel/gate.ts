// Lets dialled-in workers in: checks who they are, registers them, and finds their tunnels again.
import { isSame } from '../admission/auth.ts'
import { Tunnel, type Waiter } from '../actors/tunnel.ts'
import { workerSchema, type Config, type WorkerSpec } from '../config/schema.ts'
import { opaqueId } from '../hash.ts'
import { UpstreamFailure, type Host } from '../host.ts'
import type { OpenStream } from './exchange.ts'
import { decodeFrame, encodeJson, readJson, TunnelProtocolError, type Frame } from './frames.ts'
import { TUNNEL } from './name.ts'
import { CLOSE, LINK_TIMES, type Link, type LinkTimes, type Wire } from './link.ts'

/** A socket that opened says who it is within this time, ms. */
const PATIENCE = 10_000
/** Sockets that have not said who they are, and workers by different names: a stranger must not fill the memory. */
const MAX_STRANGERS = 100
const MAX_TUNNELS = 1000
const MAX_HELLO = 16_384
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** What the first frame says. */
interface Hello {
  readonly token: string
  readonly name: string
  /** The engine's URL as the worker knows it: a label for people. */
  readonly url: string
  readonly version: string
  /** Session to go on with, and how many numbered frames of it came; none: ''. */
  readonly session: string
  readonly received: number
}

/** Where the tunnels of a router are. */
export type TunnelHome = Pick<Gate, 'accept' | 'ready' | 'drop' | 'configure' | 'close'>

/** Takes what comes over one socket. */
export interface WireEar {
  message(bytes: Uint8Array): void
  /** `code`: how the other side closed it; none: it broke. */
  closed(code?: number): void
}

type Seams = Pick<Host, 'now' | 'timer' | 'random' | 'log' | 'after' | 'registry' | 'pool'>
type Tokens = Pick<Config, 'tunnelTokens'>

export class Gate {
  #tokens: Config['tunnelTokens']
  readonly #host: Seams
  readonly #times: LinkTimes
  readonly #tunnels = new Map<string, Tunnel>()
  readonly #strangers = new Set<Wire>()

  constructor(config: Tokens, host: Seams, times: LinkTimes = LINK_TIMES) {
    this.#tokens = config.tunnelTokens
    this.#host = host
    this.#times = times
  }

  /** Opens streams to the worker with that URL. Rejects with `UpstreamFailure` (`connect`). */
  async ready(url: string, call: Waiter): Promise<OpenStream> {
    const tunnel = this.#tunnels.get(url.slice(TUNNEL.length))
    if (!tunnel) throw new UpstreamFailure('connect', 'this worker has not dialled in')
    return tunnel.ready(call)
  }

  /** Takes a socket that just opened. */
  accept(wire: Wire): WireEar {
    this.#strangers.add(wire)
    if (this.#strangers.size > MAX_STRANGERS) this.#turnAway()
    const cancel = this.#host.timer(PATIENCE, () => wire.close(CLOSE.silent, 'the first frame did not come'))
    let link: Link | null = null
    return {
      message: (bytes) => {
        if (link) return link.receive(wire, bytes)
        if (!this.#strangers.delete(wire)) return
        cancel()
        link = this.#admit(wire, bytes)
      },
      closed: (code) => {
        cancel()
        this.#strangers.delete(wire)
        // Who hangs up does not come again for what is under way.
        if (code === CLOSE.done) link?.hungUp(wire)
        else link?.detach(wire)
      },
    }
  }

  /** A worker was removed: its link ends behind what is under way, and who dialled does not come again by itself. */
  drop(workerId: string): void {
    for (const [name, tunnel] of this.#tunnels) {
      if (opaqueId('w', TUNNEL + name) !== workerId) continue
      tunnel.retire(CLOSE.removed, 'this worker was removed from the router', () => this.#forget(tunnel))
    }
  }

  /** A new configuration: workers whose token is none any more are cut off and removed. */
  configure(config: Tokens): void {
    this.#tokens = config.tunnelTokens
    for (const [name, tunnel] of this.#tunnels) {
      if (this.#refusalOf(tunnel.token, name) === null) continue
      this.#tunnels.delete(name)
      tunnel.close(CLOSE.unauthorized, 'the token of this worker was revoked')
      this.#do(async () => this.#host.registry('main').remove(opaqueId('w', TUNNEL + name)))
    }
  }

  /** The router stops: who dialled may try again, here or elsewhere. */
  close(): void {
    for (const wire of this.#strangers) wire.close(CLOSE.stopping, 'the router stops')
    for (const tunnel of this.#tunnels.values()) tunnel.close(CLOSE.stopping, 'the router stops')
  }

  /** The link that the socket carries from now on; null when it was turned away. */
  #admit(wire: Wire, bytes: Uint8Array): Link | null {
    let hello: Hello
    try {
      if (bytes.byteLength > MAX_HELLO) throw new TunnelProtocolError('a first frame of that size')
      hello = readHello(decodeFrame(bytes))
    } catch (error) {
      if (!(error instanceof TunnelProtocolError)) throw error
      wire.close(CLOSE.protocol, error.message.slice(0, 100))
      return null
    }
    const refusal = this.#refusalOf(hello.token, hello.name)
    if (refusal !== null) {
      this.#host.log({ level: 'warn', message: `a tunnel was refused: ${refusal}`, name: hello.name })
      wire.close(CLOSE.unauthorized, refusal)
      return null
    }
    if (this.#tunnels.size >= MAX_TUNNELS && !this.#tunnels.has(hello.name)) {
      wire.close(1013, 'too many workers have dialled in')
      return null
    }
    return this.#welcome(wire, hello)
  }

  #welcome(wire: Wire, hello: Hello): Link {
    const { name, token, received } = hello
    const known = this.#tunnels.get(name)
    const id = opaqueId('w', TUNNEL + name)
    const theirs = known?.resumable(hello.session, received) ?? null
    const isResumed = theirs !== null
    // One that was removed goes on for what is under way; anything else begins anew.
    if (known?.isRetired && !isResumed) this.#forget(known)
    const tunnel = this.#tunnels.get(name) ?? this.#made(name)
    const session = isResumed ? hello.session : this.#newSession()
    wire.send(encodeJson('welcome', 0, { session, resumed: isResumed, received: theirs ?? 0, id, name }))
    const link = isResumed
      ? tunnel.resume(wire, { token, session }, received)
      : tunnel.begin(wire, { token, session })
    const message = `worker ${TUNNEL}${name} ${isResumed ? 'is connected again' : 'has dialled in'}`
    this.#host.log({ level: 'info', message, worker: id })
    if (!tunnel.isRetired) this.#do(() => this.#register(id, hello))
    return link
  }

  /** The one that has said nothing for longest goes: a worker says who it is at once. */
  #turnAway(): void {
    const [oldest] = this.#strangers
    if (!oldest) return
    this.#strangers.delete(oldest)
    oldest.close(1013, 'too many connections wait to be known')
  }

  #forget(tunnel: Tunnel): void {
    if (this.#tunnels.get(tunnel.name) === tunnel) this.#tunnels.delete(tunnel.name)
  }

  #made(name: string): Tunnel {
    const id = opaqueId('w', TUNNEL + name)
    const reachable = (isUp: boolean) => {
      if (!isUp)
        this.#host.log({ level: 'warn', message: `the tunnel of worker ${name} is gone`, worker: id })
      this.#do(async () => this.#host.registry('main').patch(id, { reachable: isUp }))
    }
    const tunnel = new Tunnel(name, { clock: this.#host, times: this.#times, ear: { reachable } })
    this.#tunnels.set(name, tunnel)
    return tunnel
  }

  /** A known one is asked anew: it may have come back with other models. */
  async #register(id: string, { name, url, version }: Hello): Promise<void> {
    const registry = this.#host.registry('main')
    const labels = { engine_url: url, fetchway: version }
    const plain = workerSchema.parse({ url: 'http://worker', labels })
    const spec: WorkerSpec = { ...plain, url: TUNNEL + name }
    const added = await registry.add(spec, 'tunnel')
    if ('refusal' in added) await registry.refresh(id)
  }

  /** Why a worker may not come in; null: it may. */
  #refusalOf(token: string, name: string): string | null {
    let found: Config['tunnelTokens'][number] | undefined
    // Every token is compared, so that the time tells nothing of where it stands.
    for (const candidate of this.#tokens) if (isSame(token, candidate.token)) found = candidate
    if (!found) return 'the token is not known here'
    if (found.revoked) return 'the token was revoked'
    if (found.name !== undefined && found.name !== name) return `the token is not for a worker named ${name}`
    return null
  }

  #newSession(): string {
    let text = ''
    while (text.length < 24) text += Math.floor(this.#host.random() * 36).toString(36)
    return text
  }

  #do(work: () => Promise<unknown>): void {
    this.#host.after(work())
  }
}

function readHello(frame: Frame): Hello {
  if (frame.kind !== 'hello') throw new TunnelProtocolError(`the first frame is ${frame.kind}, not hello`)
  const { token, name, url = '', version = '', session = '', received = 0 } = readJson(frame)
  if (typeof token !== 'string' || token === '') throw new TunnelProtocolError('hello has no token')
  if (typeof name !== 'string' || !NAME.test(name))
    throw new TunnelProtocolError('a name is up to 64 letters, digits, dots, dashes')
  const isWhole = typeof url === 'string' && typeof version === 'string' && typeof session === 'string'
  if (!isWhole || typeof received !== 'number') throw new TunnelProtocolError('hello could not be read')
  return { token, name, url: url.slice(0, 200), version: version.slice(0, 40), session, received }
}
