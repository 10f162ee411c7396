// Writes to Bun's plain sockets past node:stream, whose bookkeeping costs as much as the write itself.
import type { Socket } from 'node:net'

/** What Bun's node:net writes to: a socket as `Bun.connect` gives it, which tells how many bytes the kernel took, and keeps none. */
interface Native {
  write(bytes: Uint8Array): number
}

/**
 * Writes to a connected socket to which nothing waits to be written; what the kernel does not take waits in the socket, and then the
 * bytes must stay as they are. As its `write`: false means full, until its 'drain'.
 */
export function writeThrough(socket: Socket, handle: object, bytes: Uint8Array): boolean {
  if (!isNative(handle)) return socket.write(bytes)
  const taken = handle.write(bytes)
  // A closed one takes less than nothing: the socket tells what became of it.
  return taken === bytes.length || socket.write(taken > 0 ? bytes.subarray(taken) : bytes)
}

function isNative(handle: object): handle is Native {
  return 'write' in handle && typeof handle.write === 'function'
}
