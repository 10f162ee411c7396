import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, createServer, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setDefaultCACertificates } from 'node:tls'
import { WebSocket, WebSocketServer } from 'ws'
import type { RawData } from 'ws'
import { serve } from '../../../adapters/node/http.ts'
import { createFetch } from '../../../adapters/node/fetch.ts'
import { createUpgrade } from '../../../adapters/node/upgrade.ts'
import { client } from './rig.ts'

// Made for these tests alone: `openssl req -x509 -newkey ec …` with localhost and 127.0.0.1 as its names.
const cert = readFileSync(new URL('tls/cert.pem', import.meta.url), 'utf8')
const key = readFileSync(new URL('tls/key.pem', import.meta.url), 'utf8')

const textOf = (message: RawData) => (message as Buffer).toString()

const outgoing = {
  method: 'POST',
  path: '/x',
  headers: [],
  body: [Buffer.from('hi')],
  connectTimeout: 10_000,
}

test('HTTPS is served, and spoken to workers whose certificate is trusted', async (t) => {
  const served = await serve(async (incoming) => new Response(`${incoming.url} ${await incoming.text()}`), {
    tls: { cert, key },
  })
  const fetch = createFetch()
  t.after(() => (fetch.close(), served.close(0)))
  const ref = { id: 'w', url: served.url, engine: 'vllm' }
  const { signal } = new AbortController()
  await assert.rejects(fetch(ref, { ...outgoing, signal }), { kind: 'connect' })
  setDefaultCACertificates([cert])
  for (let i = 0; i < 2; i++) {
    const answer = await fetch(ref, { ...outgoing, signal })
    assert.equal(Buffer.from(await answer.bytes(100)).toString(), `${served.url}/x hi`)
  }
  assert.equal(served.connections(), 1)
})

test('long bodies come whole over HTTPS connections that are kept, in pieces of any size', async (t) => {
  const hash = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')
  const served = await serve(
    async (incoming) => new Response(hash(Buffer.from(await incoming.arrayBuffer()))),
    {
      tls: { cert, key },
    },
  )
  const agent = new Agent({ ca: cert, keepAlive: true, maxSockets: 3 })
  t.after(() => (agent.destroy(), served.close(0)))
  const ask = (body: Buffer, piece: number) =>
    new Promise<string>((resolve, reject) => {
      const headers = { 'content-length': body.length }
      const options = { agent, method: 'POST', headers }
      const req = request(served.url, options, (res) => void text(res).then(resolve, reject))
      req.on('error', reject)
      for (let at = 0; at < body.length; at += piece) req.write(body.subarray(at, at + piece))
      req.end()
    })
  const bodies = Array.from({ length: 30 }, (_, i) =>
    Buffer.alloc([131_072, 900, 20_000, 300_000][i % 4]!, `${i},`),
  )
  const hashes = await Promise.all(bodies.map((body, i) => ask(body, [1e6, 16_384, 5000][i % 3]!)))
  assert.deepEqual(hashes, bodies.map(hash))
  assert.equal(served.connections(), 3)
})

test('a client that leaves an HTTPS stream cancels it', async (t) => {
  const cancelled = Promise.withResolvers<void>()
  const body = () =>
    new ReadableStream({ start: (c) => c.enqueue(Buffer.from('x')), cancel: () => cancelled.resolve() })
  const served = await serve(() => new Response(body()), { tls: { cert, key } })
  t.after(() => served.close(0))
  const req = request(served.url, { ca: cert }, (res) => res.once('data', () => req.destroy()))
  req.on('error', () => undefined)
  req.end()
  await cancelled.promise
})

test('a WebSocket passes over TLS on both sides', async (t) => {
  const secure = createServer({ cert, key })
  const engine = new WebSocketServer({ server: secure })
  engine.on('connection', (socket) => socket.on('message', (message) => socket.send(`<${textOf(message)}>`)))
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve))
  const { port } = secure.address() as { port: number }
  setDefaultCACertificates([cert])
  const handler = (incoming: Request) => {
    const handshake = { ...outgoing, method: 'GET', body: null, signal: incoming.signal }
    return createUpgrade()(
      { id: 'w', url: `https://127.0.0.1:${port}`, engine: 'vllm' },
      incoming,
      handshake,
      () => undefined,
    )
  }
  const served = await serve(handler, { tls: { cert, key } })
  t.after(() => (engine.close(), secure.close(), served.close(0)))
  const socket = new WebSocket(served.url.replace('https', 'wss'), { ca: cert })
  await new Promise((resolve) => socket.once('open', resolve))
  socket.send('a')
  const answer = await new Promise((resolve) => socket.once('message', (message) => resolve(textOf(message))))
  assert.equal(answer, '<a>')
  socket.terminate()
})

test('a connection that never finishes its TLS handshake does not hold up the end', async (t) => {
  const served = await serve(() => new Response('ok'), { tls: { cert, key } })
  const peer = await client(t, served.url)
  while (served.connections() === 0) await new Promise((resolve) => setImmediate(resolve))
  await served.close(0)
  await peer.closed
})
