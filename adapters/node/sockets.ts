// TCP sockets for ZMTP by node:net, which Bun has, too.
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { SocketAddress, Sockets, Wire } from '../../src/zmtp/wire.ts'

/** What may wait unread before the other side is held up, bytes. */
const MOST_UNREAD = 1024 * 1024

export interface NodeSockets extends Sockets {
  /** Ends all connections and listens no more; what is asked for later fails. */
  close(): void
}

/** TCP whose connections end together. */
export function createSockets(): NodeSockets {
  const open = new Set<{ destroy(): void }>()
  let isClosed = false
  const keep = (socket: Socket): Wire => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    return wireOf(socket)
  }
  return {
    connect: (address, signal) =>
      isClosed ? Promise.reject(new Error('the host is closed')) : dial(address, signal).then(keep),
    async listen(address, accept) {
      const server = createServer({ noDelay: true }, (socket) => accept(keep(socket)))
      const own = { destroy: () => void server.close() }
      open.add(own)
      return { port: await bind(server, address), close: own.destroy }
    },
    close() {
      isClosed = true
      for (const one of open) one.destroy()
      open.clear()
    },
  }
}

function dial({ host, port }: SocketAddress, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const socket = connect({ host, port, noDelay: true, keepAlive: true })
    const give = () => {
      socket.destroy()
      reject(signal.reason)
    }
    signal.addEventListener('abort', give, { once: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      signal.removeEventListener('abort', give)
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function bind(server: Server, { host, port }: SocketAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const everywhere = host === '*' || host === ''
    server.listen({ port, ...(!everywhere && { host }) }, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function wireOf(socket: Socket): Wire {
  let unread: Uint8Array[] = []
  let size = 0
  let isOver = false
  let failure: Error | null = null
  let wake = () => {}
  const over = () => {
    isOver = true
    wake()
  }
  socket.on('data', (chunk: Uint8Array) => {
    unread.push(chunk)
    size += chunk.length
    if (size > MOST_UNREAD) socket.pause()
    wake()
  })
  socket.on('error', (error) => (failure = error))
  socket.on('end', over)
  socket.on('close', over)
  return {
    async read() {
      while (unread.length === 0) {
        if (failure) throw failure
        if (isOver) return null
        await new Promise<void>((resolve) => (wake = resolve))
      }
      const chunks = unread
      unread = []
      size = 0
      socket.resume()
      return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    },
    write: (bytes) =>
      new Promise<void>((resolve, reject) => {
        if (socket.destroyed) return reject(failure ?? new Error('the connection is closed'))
        socket.write(bytes, (error) => (error ? reject(error) : resolve()))
      }),
    close() {
      socket.destroy()
      over()
    },
  }
}
