// What the threads of a router say to each other about tunnels.
import type { FailureKind } from '../../../src/host.ts'
import type { RequestHead } from '../../../src/tunnel/exchange.ts'

/** What a serving thread calls at the links' end; ids are the thread's own. */
export interface TunnelCalls {
  opened(wire: number): void
  message(wire: number, bytes: Uint8Array): void
  closed(wire: number, code?: number): void
  drop(workerId: string): void
  open(stream: number, url: string, head: RequestHead): void
  write(stream: number, bytes: Uint8Array): void
  end(stream: number): void
  reset(stream: number, kind: FailureKind, message: string): void
  /** So many bytes of the answer were taken. */
  took(stream: number, bytes: number): void
}

/** What the links' end calls in the serving thread. */
export interface TunnelTellings {
  send(wire: number, frame: Uint8Array): void
  close(wire: number, code: number, reason: string): void
  head(stream: number, head: Record<string, unknown>): void
  data(stream: number, bytes: Uint8Array): void
  ended(stream: number): void
  failed(stream: number, kind: FailureKind, message: string): void
  /** So many bytes that were written have been taken. */
  room(stream: number, bytes: number): void
}

/** Tells the other end. */
export type Tell<T> = <K extends keyof T>(
  method: K,
  ...args: T[K] extends (...args: infer A) => void ? A : never
) => void

/** The bytes alone: a view would travel with all of its buffer. */
export const alone = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)
