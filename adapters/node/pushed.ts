// Reads plain sockets where they push what they read: Bun's can't be read into a buffer of ours without two more copies.
import type { Socket } from 'node:net'
import type { Taker } from './reader.ts'

/**
 * From now on `taker` gets what arrives, in `into` until it returns other memory; ends, errors and holding back (`pause`) are the
 * socket's, as ever. Call it before anything was read. Returns what gives the socket back: its bytes are 'data' again.
 */
export function readPushed(socket: Socket, taker: Taker, into: Buffer): () => void {
  const { push } = socket
  let memory = into
  const pass = (bytes: Uint8Array) => {
    memory.set(bytes)
    memory = taker.arrive(memory, bytes.length) ?? memory
  }
  socket.push = (read: unknown, encoding?: BufferEncoding) => {
    if (!(read instanceof Uint8Array)) return push.call(socket, read, encoding)
    if (read.length <= memory.length) pass(read)
    else passAll(read)
    // A socket that says no is not read on before `resume`.
    return !socket.isPaused()
  }
  const passAll = (read: Uint8Array) => {
    for (let at = 0; at < read.length && !socket.destroyed;) {
      const piece = read.subarray(at, at + memory.length)
      at += piece.length
      pass(piece)
    }
  }
  return () => {
    socket.push = push
  }
}
