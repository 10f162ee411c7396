// A bare pass-through of node:http and undici, without metrics, retries or policy: what a router on Node can hope for.
// Usage: node bench/baseline.ts PORT WORKER_URL…
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Pool, type Dispatcher } from 'undici'

const [port, ...urls] = process.argv.slice(2)
const pools = urls.map((url) => new Pool(url, { connections: 256, pipelining: 1 }))
const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host', 'content-length'])
let turn = 0

const server = createServer({ noDelay: true, keepAliveTimeout: 75_000 }, (request, response) => {
  const pool = pools[turn++ % pools.length] as Pool
  if (request.method !== 'POST') return forward(pool, { request, response, body: null })
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    forward(pool, { request, response, body })
  })
})
server.listen(Number(port), '127.0.0.1')

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer | null
}

function forward(pool: Pool, { request, response, body }: Exchange): void {
  const headers: string[] = []
  for (const [name, value] of Object.entries(request.headers)) {
    if (!hopByHop.has(name)) headers.push(name, String(value))
  }
  let upstream: Dispatcher.DispatchController | null = null
  response.on('close', () => {
    if (!response.writableEnded) upstream?.abort(new Error('client left'))
  })
  const options = { path: request.url ?? '/', method: request.method as Dispatcher.HttpMethod, headers, body }
  pool.dispatch(options, {
    onRequestStart(controller) {
      upstream = controller
    },
    onResponseStart(_controller, status, headersOfReply) {
      for (const name of hopByHop) if (name !== 'content-length') delete headersOfReply[name]
      response.writeHead(status, headersOfReply)
    },
    onResponseData(controller, chunk) {
      if (response.write(chunk)) return
      controller.pause()
      response.once('drain', () => controller.resume())
    },
    onResponseEnd() {
      response.end()
    },
    onResponseError() {
      response.destroy()
    },
  })
}
