// Host.upgrade on Workers: the worker's WebSocket comes with its answer to fetch, and is joined with the client's by messages.
import { UpstreamFailure } from '../../src/host.ts'
import type { Outgoing, WorkerRef } from '../../src/host.ts'
import type { Send } from '../web/upstream.ts'
import type { FarSocket, NearSocket } from '../../src/tunnel/socket.ts'

/**
 * Rejects with `UpstreamFailure`; `closed` is called once, when either side ended, but not after a rejection. A refusal of the worker is
 * returned as it is.
 */
export async function upgrade(
  send: Send,
  worker: WorkerRef,
  call: { readonly request: Request; readonly outgoing: Outgoing },
  closed: () => void,
): Promise<Response> {
  return joined(await handshake(send, worker, call), closed)
}

/** The client's Response for a worker's answer to its handshake: joined sockets, or the refusal as it is. */
export function joined(answer: Response, closed: () => void): Response {
  const theirs = answer.webSocket
  if (!theirs) {
    closed()
    return answer
  }
  theirs.binaryType = 'arraybuffer'
  theirs.accept()
  let isOver = false
  const protocol = answer.headers.get('sec-websocket-protocol') ?? ''
  const over = (code = 1005, reason = '') => {
    if (isOver) return
    isOver = true
    close(theirs, code, reason)
    closed()
  }
  return take({
    protocol,
    join(near) {
      theirs.addEventListener('message', ({ data }) => near.send(data as string | ArrayBuffer))
      const finish = (code: number, reason: string) => {
        if (isOver) return
        isOver = true
        near.close(code, reason)
        closed()
      }
      theirs.addEventListener('close', ({ code, reason }) => finish(code, reason))
      theirs.addEventListener('error', () => finish(1011, ''))
    },
    send: (message) => theirs.send(message),
    close: over,
  })
}

/** Answers a client's handshake with a socket that is joined with `far`. */
export function take(far: FarSocket): Response {
  const [client, ours] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
  ours.binaryType = 'arraybuffer'
  ours.accept()
  ours.addEventListener('message', ({ data }) => far.send(data as string | ArrayBuffer))
  ours.addEventListener('close', ({ code, reason }) => far.close(code, reason))
  ours.addEventListener('error', () => far.close(1011, ''))
  far.join(nearOf(ours))
  const { protocol } = far
  const headers: Record<string, string> = protocol === '' ? {} : { 'sec-websocket-protocol': protocol }
  return new Response(null, { status: 101, webSocket: client, headers })
}

const nearOf = (socket: WebSocket): NearSocket => ({
  send(message) {
    try {
      socket.send(message)
    } catch {
      // It has closed: its 'close' event tells.
    }
  },
  close: (code = 1005, reason = '') => close(socket, code, reason),
})

async function handshake(
  send: Send,
  worker: WorkerRef,
  { request, outgoing }: Parameters<typeof upgrade>[2],
): Promise<Response> {
  const headers = new Headers()
  for (let i = 0; i < outgoing.headers.length; i += 2) {
    const name = outgoing.headers[i] as string
    if (!/^(?:connection|upgrade|host|sec-websocket-.*)$/i.test(name))
      headers.append(name, outgoing.headers[i + 1] as string)
  }
  headers.set('upgrade', 'websocket')
  const protocols = request.headers.get('sec-websocket-protocol')
  if (protocols !== null) headers.set('sec-websocket-protocol', protocols)
  const leaving = new AbortController()
  outgoing.signal.addEventListener('abort', () => leaving.abort())
  try {
    return await send(worker.url.replace(/\/+$/, '') + outgoing.path, { headers, signal: leaving.signal })
  } catch (error) {
    throw new UpstreamFailure('connect', String(error))
  }
}

/** Some codes stand for what happened and can't be sent. */
function close(socket: WebSocket, code: number, reason: string): void {
  try {
    if (code === 1005 || code === 1006 || code === 1015) socket.close()
    else socket.close(code, reason)
  } catch {
    // It has closed by itself.
  }
}
