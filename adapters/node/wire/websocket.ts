// WebSockets of the ws package as the wires of a tunnel, at both ends.
import { WebSocket } from 'ws'
import type { Dial } from '../../../src/tunnel/client.ts'
import { MAX_FRAME } from '../../../src/tunnel/frames.ts'
import type { WireEar } from '../../../src/tunnel/gate.ts'
import type { Wire } from '../../../src/tunnel/link.ts'

/** A peer that does not answer a close is cut off after this, ms. */
const CLOSE_PATIENCE = 1000
const MAX_REFUSAL = 4096

export function wireOf(socket: WebSocket): Wire {
  return {
    send(frame) {
      // What fails here is told by the 'close' event.
      if (socket.readyState === WebSocket.OPEN) socket.send(frame, () => undefined)
    },
    close(code, reason) {
      socket.close(code, reason)
      setTimeout(() => socket.terminate(), CLOSE_PATIENCE).unref()
    },
  }
}

/** Hands on what a socket brings. */
export function listen(socket: WebSocket, ear: WireEar): void {
  socket.on('message', (message, isBinary) => {
    if (isBinary) ear.message(message as Buffer)
    else socket.close(1003, 'frames are binary')
  })
  socket.on('error', () => undefined) // 'close' follows
  socket.on('close', () => ear.closed())
}

/** Opens sockets to `url` (ws:// or wss://). */
export function dialer(url: string): Dial {
  return (ear) => {
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: MAX_FRAME,
      headers: { 'user-agent': 'fetchway' },
    })
    let why = ''
    socket.on('open', () => ear.opened(wireOf(socket)))
    socket.on('message', (message) => ear.message(message as Buffer))
    socket.on('error', (error) => (why = error.message || String((error as NodeJS.ErrnoException).code)))
    socket.on('close', (code, reason) => ear.closed(code, reason.toString() || why))
    socket.on('unexpected-response', (request, response) => {
      let text = ''
      const end = () => {
        ear.closed(1006, refusalIn(text), response.statusCode)
        request.destroy()
      }
      response.on('data', (bytes: Buffer) => {
        text += bytes.toString()
        if (text.length > MAX_REFUSAL) end()
      })
      response.on('end', end)
      response.on('error', end)
    })
    return () => socket.terminate()
  }
}

/** The sentence in a refusal of a router. */
function refusalIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } }
    if (typeof error?.message === 'string') return error.message
  } catch {
    // Some proxy said it in its own way.
  }
  return 'this is no WebSocket of a router'
}
