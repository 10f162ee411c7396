// One dialled-in worker: holds its link, waits a moment for one that was lost, and opens streams over it.
import { UpstreamFailure, type Host, type Outgoing } from '../host.ts'
import type { OpenStream } from '../tunnel/exchange.ts'
import { TunnelProtocolError } from '../tunnel/frames.ts'
import { CLOSE, Link, type LinkTimes, type Wire } from '../tunnel/link.ts'

/** A call waits so long for a link that was lost just now; others are better then. Milliseconds. */
const PATIENCE = 1000
/** Exchanges of a worker that was removed may finish within this time, and it is looked at this often. Milliseconds. */
const RETIRING = 180_000
const RETIRING_LOOK = 50

export interface TunnelEar {
  /** Whether the worker can be reached; told when it changes. */
  reachable(isUp: boolean): void
}

/** A token as the worker sent it, and the session that it may continue. */
export interface Dialled {
  readonly token: string
  readonly session: string
}

/** A call that waits for a link. */
export type Waiter = Pick<Outgoing, 'connectTimeout' | 'signal'>

/** The worker's link and who may continue it. In the process that holds the socket; never in a pool. */
export class Tunnel {
  readonly name: string
  /** Removed: it goes on for what is under way only. */
  isRetired = false
  readonly #clock: Pick<Host, 'now' | 'timer'>
  readonly #times: LinkTimes
  readonly #ear: TunnelEar
  #link: Link | null = null
  #dialled: Dialled = { token: '', session: '' }
  #isReachable = false
  #cancelLoss = () => {}
  #waiting: Array<() => void> = []

  constructor(
    name: string,
    { clock, times, ear }: { clock: Pick<Host, 'now' | 'timer'>; times: LinkTimes; ear: TunnelEar },
  ) {
    this.name = name
    this.#clock = clock
    this.#times = times
    this.#ear = ear
  }

  get token(): string {
    return this.#dialled.token
  }

  get isUp(): boolean {
    return this.#link?.isUp === true
  }

  /** Exchanges that are not over. */
  get size(): number {
    return this.#link?.size ?? 0
  }

  /** Numbered frames that came in this session, when it can go on behind the `received` ones of ours; else null. */
  resumable(session: string, received: number): number | null {
    const link = this.#link
    return link && session === this.#dialled.session && link.canResume(received) ? link.received : null
  }

  /** Goes on with a session, on a wire that was welcomed. Returns the taker of its messages. */
  resume(wire: Wire, dialled: Dialled, received: number): Link {
    const link = this.#link as Link
    this.#dialled = dialled
    link.attach(wire, received)
    this.#isBack()
    return link
  }

  /** Begins a new session; an older one and its exchanges end. */
  begin(wire: Wire, dialled: Dialled): Link {
    const old = this.#link
    const link: Link = new Link(
      {
        opened: () => {
          throw new TunnelProtocolError('a worker opens no streams')
        },
        lost: () => this.#isLost(link),
        closed: () => this.#isGone(link),
      },
      this.#clock,
      this.#times,
    )
    this.#link = link
    this.#dialled = dialled
    old?.close(CLOSE.replaced, 'another worker connected by this name')
    link.attach(wire, 0)
    this.#isBack()
    return link
  }

  /** Opens streams over the link. One that was lost is waited for, but not long. Rejects with `UpstreamFailure` (`connect`). */
  async ready(call: Waiter): Promise<OpenStream> {
    if (!this.isUp) await this.#whenUp(call)
    const link = this.#link
    if (!link?.isUp) throw new UpstreamFailure('connect', `the tunnel of ${this.name} is not connected`)
    return (head) => link.open(head)
  }

  /** The worker was removed: the link ends with the last exchange that is under way, at the latest after `RETIRING`. */
  retire(code: number, reason: string, ended: () => void): void {
    this.isRetired = true
    const deadline = this.#clock.now() + RETIRING
    const look = () => {
      if (this.size > 0 && this.#clock.now() < deadline) return void this.#clock.timer(RETIRING_LOOK, look)
      this.close(code, reason)
      ended()
    }
    look()
  }

  /** Ends the link for good. */
  close(code: number, reason: string): void {
    this.#link?.close(code, reason)
    this.#say(false)
  }

  async #whenUp({ connectTimeout, signal }: Waiter): Promise<void> {
    if (!this.#link || this.#link.isClosed) return
    const limit = connectTimeout > 0 ? Math.min(connectTimeout, PATIENCE) : PATIENCE
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.timer(limit, () => done())
      const done = () => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
      this.#waiting.push(done)
    })
  }

  #isBack(): void {
    this.#cancelLoss()
    this.#wake()
    this.#say(true)
  }

  #isLost(link: Link): void {
    if (link !== this.#link) return
    this.#cancelLoss()
    this.#cancelLoss = this.#clock.timer(PATIENCE, () => this.#say(false))
  }

  #isGone(link: Link): void {
    if (link !== this.#link) return
    this.#cancelLoss()
    this.#wake()
    this.#say(false)
  }

  #wake(): void {
    for (const done of this.#waiting.splice(0)) done()
  }

  #say(isUp: boolean): void {
    if (isUp === this.#isReachable) return
    this.#isReachable = isUp
    this.#ear.reachable(isUp)
  }
}
