// Clients' connections, each with a lane: accepts them and times them. A node:http that never listens itself makes their parsers, and
// takes them over where they leave HTTP. (A listening one has all its parsers in ordered sets and moves them about four times a
// request: 1.7 % of a 1 KB call.)
import type { Server as HttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { tls as nodeTls } from '../builtins.ts'
import { DateLine, keptFor } from './head.ts'
import { Lane } from './lane.ts'
import type { ParserShape } from './parser.ts'
import { Parsers } from './parsers.ts'
import type { Turn } from './turn.ts'
import { tooSlow } from './client-errors.ts'

/** How long a connection is kept without a request, how long the head of one may take, and how often both are looked at, ms. */
export interface LaneTimes {
  readonly keepAlive: number
  readonly head: number
  readonly looks: number
}

/** What lanes are made with. */
export interface LanesOptions {
  readonly shape: ParserShape
  readonly times: LaneTimes
  readonly tls: TlsOptions | undefined
  serve(turn: Turn): void
}

export class Lanes {
  /** What listens. */
  readonly door: Server
  readonly #lanes = new Map<object, Lane>()

  /** `http` must not listen: it hears of what is wrong with connections. */
  constructor(http: HttpServer, { shape, times, tls, serve }: LanesOptions) {
    // As node:http and node:https set theirs up.
    this.door = tls
      ? nodeTls().createServer({ ALPNProtocols: ['http/1.1'], noDelay: true, ...tls })
      : createServer({ allowHalfOpen: true, noDelay: true })
    const options = {
      methods: shape.methods,
      parsers: new Parsers(http, shape),
      date: new DateLine(),
      kept: keptFor(times.keepAlive / 1000),
      serve,
      broken: (error: Error, socket: Socket) => void http.emit('clientError', error, socket),
      closed: (socket: Socket) => void this.#lanes.delete(socket),
      handOver(socket: Socket, bytes: Buffer) {
        http.emit('connection', socket)
        socket.emit('data', bytes)
      },
    }
    this.door.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#lanes.set(socket, new Lane(socket, options))
    })
    this.door.on('tlsClientError', (error: Error, socket: Socket) => http.emit('clientError', error, socket))
    const sweeper = setInterval(() => this.#sweep(times), times.looks)
    sweeper.unref()
    this.door.once('close', () => clearInterval(sweeper))
  }

  /** Whether some of a response is out on this connection; undefined where it has no lane. */
  isAnswering(socket: object): boolean | undefined {
    return this.#lanes.get(socket)?.isAnswering
  }

  /** Ends the connections that wait for a request. */
  closeIdle(): void {
    for (const lane of this.#lanes.values()) if (lane.isIdle) lane.socket.destroy()
  }

  #sweep({ keepAlive, head, looks }: LaneTimes): void {
    for (const lane of this.#lanes.values()) {
      lane.look()
      if (lane.idleFor > keepAlive / looks) lane.socket.destroy()
      else if (lane.headFor > head / looks) lane.fail(tooSlow())
    }
  }
}
