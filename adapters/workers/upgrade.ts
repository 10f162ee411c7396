// Host.upgrade on Workers: the worker's WebSocket comes with its answer to fetch, and is joined with the client's by messages.
import { UpstreamFailure } from '../../src/host.ts'
import type { Outgoing, WorkerRef } from '../../src/host.ts'

/** Rejects with `UpstreamFailure`; `closed` is called once, when either side ended, but not after a rejection. A refusal of the worker is returned as it is. */
export async function upgrade(
  worker: WorkerRef,
  request: Request,
  outgoing: Outgoing,
  closed: () => void,
): Promise<Response> {
  const answer = await handshake(worker, request, outgoing)
  const theirs = answer.webSocket
  if (!theirs) {
    closed()
    return answer
  }
  const [client, ours] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
  for (const socket of [theirs, ours]) {
    socket.binaryType = 'arraybuffer'
    socket.accept()
  }
  let isOver = false
  const join = (from: WebSocket, to: WebSocket) => {
    from.addEventListener('message', ({ data }) => to.send(data as string | ArrayBuffer))
    const finish = (code: number, reason: string) => {
      if (isOver) return
      isOver = true
      close(to, code, reason)
      closed()
    }
    from.addEventListener('close', ({ code, reason }) => finish(code, reason))
    from.addEventListener('error', () => finish(1011, ''))
  }
  join(theirs, ours)
  join(ours, theirs)
  const protocol = answer.headers.get('sec-websocket-protocol')
  const headers: Record<string, string> = protocol === null ? {} : { 'sec-websocket-protocol': protocol }
  return new Response(null, { status: 101, webSocket: client, headers })
}

async function handshake(worker: WorkerRef, request: Request, outgoing: Outgoing): Promise<Response> {
  const headers = new Headers()
  for (let i = 0; i < outgoing.headers.length; i += 2) {
    const name = outgoing.headers[i] as string
    if (!/^(?:connection|upgrade|host|sec-websocket-.*)$/i.test(name))
      headers.append(name, outgoing.headers[i + 1] as string)
  }
  headers.set('upgrade', 'websocket')
  const protocols = request.headers.get('sec-websocket-protocol')
  if (protocols !== null) headers.set('sec-websocket-protocol', protocols)
  try {
    return await fetch(worker.url.replace(/\/+$/, '') + outgoing.path, { headers, signal: outgoing.signal })
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
