// WebSockets of the ws package as the wires of a tunnel, at the worker's end.
import { WebSocket } from 'ws'
import type { Dial } from '../../../src/tunnel/client.ts'
import { MAX_FRAME } from '../../../src/tunnel/frames.ts'
import type { Wire } from '../../../src/tunnel/link.ts'
import { sentenceIn } from '../../web/dial.ts'

/** A peer that does not answer a close is cut off after this, ms. */
const CLOSE_PATIENCE = 1000
const MAX_REFUSAL = 4096

function wireOf(socket: WebSocket): Wire {
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
        ear.closed(1006, sentenceIn(text), response.statusCode)
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
