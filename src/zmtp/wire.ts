// Byte streams over TCP as a runtime lends them: what ZMTP needs of a socket, and nothing more.

export interface SocketAddress {
  /** A name or an IP address, IPv6 without brackets; to listen on: `*` or `0.0.0.0` for all. */
  readonly host: string
  readonly port: number
}

/** One connection. */
export interface Wire {
  /** The next bytes, in order; null at the other side's end. Rejects when the connection broke. One call at a time. */
  read(): Promise<Uint8Array | null>
  /** Resolves when more may be written. Rejects when the connection broke. */
  write(bytes: Uint8Array): Promise<void>
  /** Ends it at once; a pending `read` resolves with null or rejects. Harmless when repeated. */
  close(): void
}

export interface Listening {
  /** The port that it took. */
  readonly port: number
  /** Takes no further connections; those that stand go on. */
  close(): void
}

/** TCP as the runtime has it. */
export interface Sockets {
  /** Rejects when nobody is there. `signal` gives up. */
  connect(address: SocketAddress, signal: AbortSignal): Promise<Wire>
  /** Absent where the runtime can't listen (Workers). Rejects when the address is taken. */
  listen?(address: SocketAddress, accept: (wire: Wire) => void): Promise<Listening>
}

/** Time and chance, as hosts and actors have them. */
export interface Clock {
  now(): number
  random(): number
  timer(ms: number, run: () => void): () => void
}

/** A wire made of two web streams. `end` closes the connection under them. */
export function wireOf(
  readable: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  end: () => void,
): Wire {
  const reader = readable.getReader()
  const writer = writable.getWriter()
  // Whoever reads or writes next learns of it.
  reader.closed.catch(() => {})
  writer.closed.catch(() => {})
  return {
    async read() {
      const { done, value } = await reader.read()
      return done ? null : value
    },
    write: (bytes) => writer.write(bytes),
    close() {
      reader.cancel().catch(() => {})
      writer.abort().catch(() => {})
      end()
    },
  }
}
