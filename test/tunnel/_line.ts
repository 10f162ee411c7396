// Two ends of a link and the line between them: messages lie on it until they are moved, and a cut loses those that lie there.
import type { UpstreamFailure } from '../../src/host.ts'
import { Link, type LinkEar, type LinkTimes, type Wire } from '../../src/tunnel/link.ts'
import type { StreamEar, TunnelStream } from '../../src/tunnel/stream.ts'
import { createClock, type Clock } from '../_clock.ts'

export const TIMES: LinkTimes = { beat: 1000, silence: 2500, resume: 5000 }

/** One direction of a line. */
interface Lane {
  readonly frames: Uint8Array[]
  to: End | null
}

export class End {
  readonly link: Link
  readonly told: string[] = []
  readonly opened: TunnelStream[] = []
  wire: Wire | null = null
  closedWith: number | null = null
  /** Sets the ear of a stream that the other side opened. */
  onOpen: (stream: TunnelStream, head: Record<string, unknown>) => void = () => undefined

  constructor(clock: Clock) {
    const ear: LinkEar = {
      opened: (stream, head) => {
        this.opened.push(stream)
        this.onOpen(stream, head)
      },
      lost: () => this.told.push('lost'),
      closed: () => this.told.push('closed'),
    }
    this.link = new Link(ear, clock, TIMES)
  }
}

export class Line {
  readonly clock = createClock()
  readonly router = new End(this.clock)
  readonly worker = new End(this.clock)
  #lanes: Lane[] = []

  constructor() {
    this.connect()
  }

  /** A new connection; frames that were received are continued behind. */
  connect(): void {
    const { router, worker } = this
    const [toRouter, toWorker] = [router.link.received, worker.link.received]
    this.#lanes = [
      { frames: [], to: worker },
      { frames: [], to: router },
    ]
    const [down, up] = this.#lanes as [Lane, Lane]
    router.wire = wireOn(down, router)
    worker.wire = wireOn(up, worker)
    router.link.attach(router.wire, toWorker)
    worker.link.attach(worker.wire, toRouter)
  }

  /** Loses what lies on the line. With `tells` both ends hear of it at once. */
  cut(tells = true): void {
    for (const lane of this.#lanes) {
      lane.frames.length = 0
      lane.to = null
    }
    if (!tells) return
    for (const { link, wire } of [this.router, this.worker]) if (wire) link.detach(wire)
  }

  /** Moves one message in a direction; false when none lies there. */
  step(direction: 0 | 1): boolean {
    const lane = this.#lanes[direction] as Lane
    const frame = lane.frames.shift()
    if (!frame || !lane.to?.wire) return false
    lane.to.link.receive(lane.to.wire, frame)
    return true
  }

  /** Moves all there is, and what follows from it. */
  run(): void {
    for (;;) {
      const hasMoved = [this.step(0), this.step(1)]
      if (!hasMoved.includes(true)) return
    }
  }

  /** Bytes that lie on the line towards the worker. */
  get lying(): number {
    return this.#lanes[0]?.frames.reduce((sum, frame) => sum + frame.byteLength, 0) ?? 0
  }
}

function wireOn(lane: Lane, sender: End): Wire {
  return {
    send: (frame) => void (lane.to && lane.frames.push(frame)),
    close(code) {
      sender.closedWith = code
      lane.to = null
    },
  }
}

/** What an ear heard. */
export class Heard implements StreamEar {
  readonly #parts: Uint8Array[] = []
  readonly told: string[] = []
  rooms = 0
  head(head: Record<string, unknown>): void {
    this.told.push(`head ${JSON.stringify(head)}`)
  }
  data(bytes: Uint8Array): void {
    this.#parts.push(bytes)
  }
  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts))
  }
  end(): void {
    this.told.push('end')
  }
  fail({ kind }: UpstreamFailure): void {
    this.told.push(kind)
  }
  room(): void {
    this.rooms++
  }
}
