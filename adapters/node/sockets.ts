// TCP sockets for ZMTP by node:net, which Bun has, too.
import { connect, createServer, type Socket } from 'node:net'
import type { Listening, SocketAddress, Sockets, Wire } from '../../src/zmtp/wire.ts'

/** What may wait unread before the other side is held up, bytes. */
const MOST_UNREAD = 1024 * 1024

export const nodeSockets: Sockets = {
  connect: ({ host, port }, signal) =>
    new Promise<Wire>((resolve, reject) => {
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
        resolve(wireOf(socket))
      })
    }),

  listen: ({ host, port }: SocketAddress, accept) =>
    new Promise<Listening>((resolve, reject) => {
      const server = createServer({ noDelay: true }, (socket) => accept(wireOf(socket)))
      server.once('error', reject)
      const everywhere = host === '*' || host === ''
      server.listen({ port, ...(!everywhere && { host }) }, () => {
        const address = server.address()
        const taken = typeof address === 'object' && address !== null ? address.port : port
        resolve({ port: taken, close: () => void server.close() })
      })
    }),
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
