// The worker's end of a tunnel: dials the router, comes again after a drop, and passes requests on to the engine.
import type { Host } from '../host.ts'
import { answerStream, type EngineDoor } from './answer.ts'
import { decodeFrame, encodeJson, readJson, TunnelProtocolError } from './frames.ts'
import { CLOSE, Link, LINK_TIMES, type LinkTimes, type Wire } from './link.ts'

/** What a socket tells. After `closed` nothing comes; it comes also when the socket never opened. */
export interface SocketEar {
  opened(wire: Wire): void
  message(bytes: Uint8Array): void
  /** `status`: of an HTTP answer where a WebSocket was asked for. */
  closed(code: number, reason: string, status?: number): void
}

/** Begins to open a socket to the router; the function returned gives it up. */
export type Dial = (ear: SocketEar) => () => void

export interface ClientOptions {
  readonly token: string
  readonly name: string
  /** The engine's URL, a label for people. */
  readonly url: string
  readonly version: string
  readonly dial: Dial
  readonly engine: EngineDoor
  readonly host: Pick<Host, 'now' | 'timer' | 'random'>
  /** Hears how it goes, in sentences. */
  readonly tell: (event: 'connected' | 'resumed' | 'lost' | 'retry', message: string) => void
  readonly times?: LinkTimes
}

/** Until a socket is open and welcomed, ms. */
const DIAL_TIMEOUT = 10_000
const FIRST_PAUSE = 250
const MAX_PAUSE = 15_000

/** Why a client gave up for good: a sentence. */
export type Ending = { readonly reason: string }

export class TunnelClient {
  readonly #options: ClientOptions
  #link: Link | null = null
  #session = ''
  #failures = 0
  #cancel = () => {}
  #hangUp = () => {}
  #wire: Wire | null = null
  /** The wire proved dead: its socket may take long to close. */
  #giveUp = () => {}
  #isStopped = false
  #isDraining = false
  /** The wire was welcomed. */
  #isWelcome = false
  #finish!: (ending: Ending) => void
  readonly #ended: Promise<Ending>

  constructor(options: ClientOptions) {
    this.#options = options
    this.#ended = new Promise((resolve) => (this.#finish = resolve))
  }

  /** Dials until told to stop, or until the router wants it no more. Call it once. */
  run(): Promise<Ending> {
    this.#dial()
    return this.#ended
  }

  /** Requests under way, for an end that loses none. */
  get inFlight(): number {
    return this.#link?.size ?? 0
  }

  /** Takes no further requests: the router sends them elsewhere. */
  drain(): void {
    this.#isDraining = true
  }

  /** Hangs up; requests under way end. */
  stop(reason = 'stopped'): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#cancel()
    this.#wire?.close(1000, reason)
    this.#link?.close(1000, reason)
    this.#hangUp()
    this.#finish({ reason })
  }

  #dial(): void {
    if (this.#isStopped) return
    let wire: Wire | null = null
    let isOver = false
    const { host } = this.#options
    const end = (code: number, reason: string, status?: number) => {
      if (isOver) return
      isOver = true
      this.#cancel()
      this.#hangUp = () => {}
      this.#isLost(wire, code, { reason, status })
    }
    const hangUp = this.#options.dial({
      opened: (opened) => {
        if (isOver) return opened.close(1000, 'too late')
        wire = this.#wire = opened
        opened.send(encodeJson('hello', 0, this.#hello()))
      },
      message: (bytes) => {
        if (isOver || !wire) return
        if (this.#link?.isUp && wire === this.#wire && this.#isWelcome) this.#link.receive(wire, bytes)
        else this.#takeWelcome(wire, bytes)
      },
      closed: end,
    })
    this.#isWelcome = false
    this.#giveUp = () => end(CLOSE.silent, 'nothing was heard')
    this.#hangUp = hangUp
    this.#cancel = host.timer(DIAL_TIMEOUT, () => {
      hangUp()
      wire?.close(CLOSE.silent, 'no welcome')
      end(CLOSE.silent, `no answer within ${DIAL_TIMEOUT / 1000} s`)
    })
  }

  #hello() {
    const { token, name, url, version } = this.#options
    const link = this.#link
    const received = link?.received ?? 0
    return { token, name, url, version, session: link ? this.#session : '', received }
  }

  #takeWelcome(wire: Wire, bytes: Uint8Array): void {
    const welcome = readWelcome(bytes)
    if (!welcome) return wire.close(CLOSE.protocol, 'the first frame is no welcome')
    this.#cancel()
    this.#isWelcome = true
    this.#failures = 0
    const { session, resumed, received, id } = welcome
    const isResumed = resumed && this.#link !== null && this.#link.canResume(received)
    if (resumed && !isResumed) {
      // It counts on frames that are gone: the next try begins anew.
      this.#link?.close(CLOSE.protocol, 'cannot go on')
      this.#link = null
      return wire.close(CLOSE.protocol, 'cannot go on')
    }
    if (!isResumed) {
      this.#link?.close(CLOSE.protocol, 'the router began anew')
      this.#link = this.#newLink()
      this.#session = session
    }
    this.#link?.attach(wire, isResumed ? received : 0)
    const { tell, name } = this.#options
    tell(isResumed ? 'resumed' : 'connected', `as ${name}, worker ${id}`)
  }

  #newLink(): Link {
    const { engine, host, times = LINK_TIMES } = this.#options
    const link: Link = new Link(
      {
        opened: (stream, head) => {
          if (this.#isDraining) stream.reset('connect', 'the worker is about to stop')
          else answerStream(stream, head, engine)
        },
        lost: () => this.#giveUp(),
        closed: () => {
          if (this.#link === link) this.#link = null
        },
      },
      host,
      times,
    )
    return link
  }

  #isLost(
    wire: Wire | null,
    code: number,
    { reason, status }: { reason: string; status?: number | undefined },
  ): void {
    if (this.#isStopped) return
    if (wire) this.#link?.detach(wire)
    this.#wire = null
    const final = finalReason(code, reason, status)
    if (final !== null) return this.stop(final)
    const { tell, host } = this.#options
    const wasUp = this.#isWelcome
    this.#isWelcome = false
    // One that was up comes back at once, but not all workers of a router that restarts in the same moment.
    const pause = wasUp ? 100 : Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** Math.min(this.#failures, 10))
    if (!wasUp) this.#failures++
    const wait = pause * (0.5 + host.random() / 2)
    tell(
      wasUp ? 'lost' : 'retry',
      `${reason || `closed with code ${code}`}; again in ${(wait / 1000).toFixed(1)} s`,
    )
    this.#cancel = host.timer(wait, () => this.#dial())
  }
}

/** Why it is no use to dial again; null: it is. */
function finalReason(code: number, reason: string, status: number | undefined): string | null {
  if (code === CLOSE.unauthorized) return `the router refused: ${reason || 'the token is wrong'}`
  if (code === CLOSE.removed) return reason || 'this worker was removed from the router'
  if (code === CLOSE.replaced) return `${reason}: give each worker a --name of its own`
  // A proxy or a router that starts may say 5xx; what a 4xx says stays so.
  if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429)
    return `the router refused (${status}): ${reason}`
  return null
}

interface Welcome {
  readonly session: string
  readonly resumed: boolean
  readonly received: number
  readonly id: string
}

function readWelcome(bytes: Uint8Array): Welcome | null {
  try {
    const frame = decodeFrame(bytes)
    const { session, resumed, received, id } = readJson(frame)
    const isWhole = typeof session === 'string' && typeof received === 'number' && typeof id === 'string'
    return frame.kind === 'welcome' && isWhole ? { session, resumed: resumed === true, received, id } : null
  } catch (error) {
    if (error instanceof TunnelProtocolError) return null
    throw error
  }
}
