// What the server sees of one request and of the way back to its client, whichever way it came.
import type { HeaderList } from '../../../src/host.ts'
import type { HeadMemory } from '../../../src/openai/head.ts'
import type { Sink, Source } from '../response.ts'

/** Who takes a request's body as it comes. Exactly one of `end` and `cut` is called. */
export interface BodyTaker {
  /** `isLent`: they are what they are during the call only. */
  data(bytes: Uint8Array, isLent: boolean): void
  /** Where its next bytes may be read to, so that nobody has to copy them. It stays the body's until `wrote` was called. */
  room?(): Buffer | null
  /** So many bytes are there now. */
  wrote?(size: number): void
  end(): void
  /** The client left before its body was whole. */
  cut(): void
}

/** Drops a body as it comes. */
export const NOBODY: BodyTaker = { data() {}, end() {}, cut() {} }

/** A request whose head is here. */
export interface Incoming {
  readonly method: string
  /** As it stands in the request line. */
  readonly target: string
  readonly headers: HeaderList
  /** Value of the Host header, or nothing. */
  readonly host: string
  /** What is kept with a head that comes again; absent: nobody knows whether it does. */
  readonly memory?: HeadMemory
  readonly remoteAddress: string | undefined
  /** Bytes of the body as its head tells them: 0 where it has none, null where it comes in chunks. */
  readonly length: number | null
  /** The body is here to its last byte, or there is none. */
  readonly isWhole: boolean
  /** Bytes of the body that are here and that nobody took yet. */
  readonly waiting: number
  /** Gives the body to its one taker: what is here before this returns. A client that asked first is told to go on. */
  take(taker: BodyTaker): void
  /** The body where it is here to its last byte in one piece, then taken; else null, and nothing was done. */
  takeWhole(): Uint8Array | null
  /** Holds the client back; what was read already may still come. */
  pause(): void
  resume(): void
}

export interface Head {
  readonly status: number
  /** Empty: the usual one. */
  readonly statusText: string
  readonly headers: HeaderList
}

/** The way back. After `begin` it is the sink of the body. */
export interface Outlet extends Sink {
  /** No body follows the head: it answers a HEAD. */
  readonly isHead: boolean
  /** Takes the head, which goes out with the first bytes or by `flush`. The source of the body is told when there is room again. */
  begin(head: Head, source: Pick<Source, 'resume'>): void
  /** Sends the head by itself: the body lets wait for it. */
  flush(): void
  /** Sends a whole answer, and nothing after it on this connection. */
  refuse(head: Head, body: string): void
}

/** Who serves an exchange. */
export interface Owner {
  /** Called once: the response went out to its last byte, or (`isSent` false) the client left before. */
  over(isSent: boolean): void
}

/** One request and its response. */
export interface Exchange extends Incoming, Outlet {
  /** The client is gone, or was answered already. */
  readonly isOver: boolean
  /** The head of the response is out, or about to be. */
  readonly hasBegun: boolean
  /** The client waits for a word before it sends its body, and got none. */
  readonly isWaiting: boolean
  /** Is told of its end. */
  owner: Owner | null
  /** Lets the response be read though the body has not come as a whole: the rest is dropped as it comes, for 5 s at most. */
  linger(): void
  /** Breaks the connection off. */
  destroy(): void
}
