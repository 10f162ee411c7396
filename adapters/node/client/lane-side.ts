// What a lane is given, and what it gives its turns.
import type { Socket } from 'node:net'
import type { SocketWriter } from '../writer.ts'
import type { DateLine } from './head.ts'
import type { Parsers } from './parsers.ts'
import type { Turn } from './turn.ts'

/** What a lane lends its turns. */
export interface LaneSide {
  readonly socket: Socket
  readonly writer: SocketWriter
  readonly date: DateLine
  /** Lines that tell how long an idle connection is kept. */
  readonly kept: string
  /** Holds the client back, or reads on, as its turns have room. */
  steer(): void
  /** The response is out. `isLast`: the connection ends with it; `lingers`: not before its request's body is dropped. */
  done(isLast: boolean, lingers: boolean): void
}

/** What all lanes of a server share. */
export interface LaneOptions {
  /** Names of methods by the parser's numbers. */
  readonly methods: readonly (string | undefined)[]
  readonly parsers: Parsers
  readonly date: DateLine
  /** Lines that tell how long an idle connection is kept. */
  readonly kept: string
  /** Calls the handler. What comes behind the request on its connection waits until its response is out. */
  serve(turn: Turn): void
  /** Hears of what is wrong with a connection: it is to end. */
  broken(error: Error, socket: Socket): void
  /** Hears of each connection that has ended. */
  closed(socket: Socket): void
  /** Takes a connection whose next bytes are these: node:http reads it from here on. */
  handOver(socket: Socket, bytes: Buffer): void
}
