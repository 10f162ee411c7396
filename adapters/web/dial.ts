// Dials a router by the runtime's own WebSocket (Deno, Bun).
import type { Dial } from '../../src/tunnel/client.ts'
import type { Wire } from '../../src/tunnel/link.ts'

/** Until a router that took no socket says why, ms. */
const WHY_TIMEOUT = 5000

/** Opens sockets to `url` (ws:// or wss://). */
export function dialer(url: string): Dial {
  return (ear) => {
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    let hasOpened = false
    let isOver = false
    const over = (code: number, reason: string, status?: number) => {
      if (isOver) return
      isOver = true
      ear.closed(code, reason, status)
    }
    socket.onopen = () => {
      hasOpened = true
      ear.opened(wireOf(socket))
    }
    socket.onmessage = ({ data }) => {
      if (!isOver) ear.message(new Uint8Array(data as ArrayBuffer))
    }
    socket.onclose = ({ code, reason }) => {
      if (hasOpened) return over(code, reason)
      void refusalOf(url).then(({ status, message }) => over(1006, message, status))
    }
    return () => {
      if (hasOpened) socket.close()
      over(1006, 'given up')
    }
  }
}

function wireOf(socket: WebSocket): Wire {
  return {
    send(frame) {
      if (socket.readyState === WebSocket.OPEN) socket.send(frame as Uint8Array<ArrayBuffer>)
    },
    close(code, reason) {
      // Of the codes of this protocol, others can't be sent by the API.
      if (code === 1000 || code >= 3000) socket.close(code, reason)
      else socket.close()
    },
  }
}

/** A WebSocket does not tell why there is none; a plain request to the same place may. Never rejects. */
async function refusalOf(url: string): Promise<{ status?: number; message: string }> {
  try {
    const signal = AbortSignal.timeout(WHY_TIMEOUT)
    const response = await fetch(url.replace(/^ws/, 'http'), { signal, redirect: 'manual' })
    const text = await response.text()
    // 426: it does take WebSockets here.
    if (response.status === 426) return { message: 'the connection broke in the handshake' }
    return { status: response.status, message: sentenceIn(text) }
  } catch (error) {
    return {
      message: `the router cannot be reached: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
}

/** The sentence in a refusal of a router. */
export function sentenceIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } }
    if (typeof error?.message === 'string') return error.message
  } catch {
    // Some proxy said it in its own way.
  }
  return 'this is no WebSocket of a router'
}
