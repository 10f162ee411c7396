// Runs inside Bun: an engine, a router of nothing but `relay`, and a client that reads late; prints what came of it, and of an answer that breaks before any of it is out.
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { relay } from '../../../adapters/bun/relay.ts'
import { createFetch } from '../../../adapters/node/fetch.ts'
import { runtime } from '../../../adapters/bun/bun-types.ts'
import type { Outgoing, Watch } from '../../../src/host.ts'

const EVENTS = 60_000
const event = (i: number) => `data: ${i} ${'x'.repeat(i % 600)}\n\n`
let sent = 0
const engine = createServer((request, response) => {
  if (request.url === '/short') return void response.end('short')
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let next = 0
  const go = () => {
    while (next < EVENTS) {
      sent++
      if (!response.write(event(next++))) return void response.once('drain', go)
    }
    response.end()
  }
  go()
}).listen(0, '127.0.0.1')
const url = () => `http://127.0.0.1:${(engine.address() as AddressInfo).port}`
const ends: string[] = []
/** Every second read passes in the memory that it came in, the others as pieces of their own. */
const watchOf = (turn: { at: number }): Watch => ({
  chunk: (bytes) => bytes,
  pass: () => turn.at++ % 2 === 0,
  end: () => (ends.push('end'), null),
  fail: () => (ends.push('fail'), null),
  leave: () => void ends.push('leave'),
})
const broken: Watch = {
  chunk: () => {
    throw new Error('broken')
  },
  end: () => null,
  fail: () => null,
  leave: () => undefined,
}
const send = createFetch()
const outgoing = (path: string): Outgoing => ({
  method: 'GET',
  path,
  headers: [],
  body: null,
  connectTimeout: 5000,
  signal: new AbortController().signal,
})
const front = runtime.serve({
  hostname: '127.0.0.1',
  port: 0,
  idleTimeout: 0,
  maxRequestBodySize: 1000,
  development: false,
  async fetch(request) {
    const { pathname } = new URL(request.url)
    const upstream = await send({ id: 'w', url: url(), engine: 'vllm' }, outgoing(pathname))
    if (pathname === '/short') {
      // All of it is here then.
      await upstream.first()
      return relay(upstream, { status: 200, headers: ['content-length', '5'] }, broken)
    }
    return relay(
      upstream,
      { status: 200, headers: ['content-type', 'text/event-stream'] },
      watchOf({ at: 0 }),
    )
  },
  error: () => new Response(null, { status: 500 }),
  websocket: { idleTimeout: 0, maxPayloadLength: 1, open() {}, message() {}, close() {} },
})

/** Asks over a socket that reads nothing for a while; gives it then. */
async function ask(): Promise<ReturnType<typeof connect>> {
  const socket = connect(front.port!, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  await new Promise((resolve) => setTimeout(resolve, 500))
  return socket
}

const late = await ask()
const sentBefore = sent
const whole = await new Promise<string>((resolve) => {
  const parts: Buffer[] = []
  late.on('data', (bytes: Buffer) => parts.push(bytes))
  late.on('end', () => resolve(Buffer.concat(parts).toString('latin1')))
})
let body = ''
for (let at = whole.indexOf('\r\n\r\n') + 4; at < whole.length;) {
  const behind = whole.indexOf('\r\n', at)
  const size = Number.parseInt(whole.slice(at, behind), 16)
  body += whole.slice(behind + 2, behind + 2 + size)
  at = behind + 2 + size + 2
}
const expected = Array.from({ length: EVENTS }, (_, i) => event(i)).join('')
const leaver = await ask()
leaver.destroy()
for (let turn = 0; ends.length < 2 && turn < 100; turn++)
  await new Promise((resolve) => setTimeout(resolve, 10))
const short = await fetch(`http://127.0.0.1:${front.port}/short`)
const { error } = (await short.json()) as { error: { code: string } }
const refused = [short.status, error.code]
console.log(JSON.stringify({ isSame: body === expected, isHeld: sentBefore < EVENTS * 0.9, ends, refused }))
process.exit()
