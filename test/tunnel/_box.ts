// A GPU machine for tests: something that speaks like an engine, WebSockets included, and a client that dials a router.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocketServer, type WebSocket } from 'ws'
import { createClient } from '../../adapters/cli/connect.ts'
import { serve } from '../../adapters/node/http.ts'
import { dialer } from '../../adapters/node/wire/websocket.ts'
import type { LinkTimes } from '../../src/tunnel/link.ts'

export const TOKEN = 'box-token'
/** Short ones, so that silence is noticed within a test. */
export const TIMES: LinkTimes = { beat: 100, silence: 400, resume: 3000 }

type Cleaner = Pick<TestContext, 'after'>
export type Handle = (request: Request) => Promise<Response>

/** An engine on a port of its own. */
export async function engineOn(t: Cleaner, handle: Handle): Promise<string> {
  const served = await serve(handle, { breaksOnError: true })
  t.after(() => served.close(0))
  return served.url
}

export interface Boxed {
  readonly router: string
  readonly engine: string
  readonly name?: string
  readonly token?: string
  readonly engineKey?: string
  readonly times?: LinkTimes
}

/** Dials in; ends with the test. */
export function box(t: Cleaner, { name = 'box', token = TOKEN, times = TIMES, ...more }: Boxed) {
  const told: string[] = []
  const tell = (event: string) => void told.push(event)
  const client = createClient({ ...more, name, token, times, tell, dialer })
  const ended = client.run()
  t.after(() => client.stop())
  return { client, ended, told }
}

/** An engine that takes WebSockets: says each message again, and closes by the words `end` (4001) and `die` (no close at all). */
export async function echoEngine(
  t: Cleaner,
): Promise<{ url: string; seen: IncomingMessage[]; open(): number }> {
  const seen: IncomingMessage[] = []
  const http = createServer((request, response) => {
    const body = request.url?.startsWith('/v1/models')
      ? { object: 'list', data: [{ id: 'm', object: 'model', owned_by: 'vllm' }] }
      : {}
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  const sockets = new WebSocketServer({ server: http })
  sockets.on('connection', (socket: WebSocket, request) => {
    seen.push(request)
    socket.on('message', (data, isBinary) => {
      const text = isBinary ? '' : (data as Buffer).toString()
      if (text === 'end') socket.close(4001, 'enough')
      else if (text === 'die') socket.terminate()
      else socket.send(data, { binary: isBinary })
    })
  })
  http.listen(0, '127.0.0.1')
  await new Promise((resolve) => http.once('listening', resolve))
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate()
    http.close()
    http.closeAllConnections()
  })
  const { port } = http.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, seen, open: () => sockets.clients.size }
}
