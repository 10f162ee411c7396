// The engine of bench/streams.ts: each call is answered by a stream that tells the time in an event at once, and in one at each
// interval as soon as a line comes on stdin. usage: node bench/streams/engine.ts INTERVAL_MS
import { createServer, type ServerResponse } from 'node:http'

const interval = Number(process.argv[2])
/** Streams are written to in this many turns of an interval, so that their events come evenly. */
const TURNS = 100
const slots: Set<ServerResponse>[] = Array.from({ length: TURNS }, () => new Set())
let next = 0

const server = createServer((request, response) => {
  if (request.url?.endsWith('/chat/completions')) {
    request.resume()
    request.on('end', () => open(response))
    return
  }
  const models = {
    object: 'list',
    data: [{ id: 'm', object: 'model', owned_by: 'vllm', max_model_len: 8192 }],
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(request.url === '/v1/models' ? models : {}))
})

function open(response: ServerResponse): void {
  const slot = slots[next++ % TURNS]!
  slot.add(response)
  response.on('close', () => slot.delete(response))
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  write(response)
}

const written = new WeakMap<ServerResponse, number>()

/** Tells the time (the clock is one for all processes of a machine), and which event of its stream it is. */
function write(response: ServerResponse): void {
  const now = process.hrtime.bigint()
  const count = written.get(response) ?? 0
  written.set(response, count + 1)
  response.write(
    `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":" ${now} ${count}"},"logprobs":null,"finish_reason":null}]}\n\n`,
  )
}

/** Turns that a late timer makes up for at once: were it all of them, nobody else would be served while the machine is too busy. */
const MADE_UP = 10

function begin(): void {
  const began = performance.now()
  let turn = 0
  setInterval(() => {
    const due = Math.floor(((performance.now() - began) / interval) * TURNS)
    for (const end = Math.min(due, turn + MADE_UP); turn < end; turn++)
      for (const response of slots[turn % TURNS]!) write(response)
  }, interval / TURNS)
}

process.stdin.once('data', begin)
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address()
  console.log(typeof address === 'object' && address !== null ? address.port : 0)
})
