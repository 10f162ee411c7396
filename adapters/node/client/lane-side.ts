// What a lane gives its turns.
import type { Socket } from 'node:net'
import type { HeaderList } from '../../../src/host.ts'
import type { HeadMemory } from '../../../src/openai/head.ts'
import type { SocketWriter } from '../writer.ts'
import type { DateLine } from './head.ts'

/** The request line and headers, as the parser tells them. */
export interface RequestHead {
  readonly method: string
  readonly target: string
  readonly headers: HeaderList
  readonly memory: HeadMemory
  readonly isModern: boolean
  readonly keepsAlive: boolean
}

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
