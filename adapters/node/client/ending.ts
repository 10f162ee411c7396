// How connections to clients end where not all is well.
import type { Socket } from 'node:net'
import { isTcp } from '../writer.ts'

/** How long a client may go on sending after its last response, so that it comes to read it, ms. */
export const LINGER = 5000

/** Says no more, and reads on for a while: to close on unread bytes would reset the connection under what the client has not read. */
export function linger(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER).unref()
  socket.once('close', () => clearTimeout(timer))
  socket.end()
}

/** Where the end of the connection would be the end of the body (HTTP/1.0), only a reset tells the difference. */
export function breakOff(socket: Socket): void {
  if (isTcp(socket)) socket.resetAndDestroy()
  socket.destroy()
}
