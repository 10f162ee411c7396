import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from 'node:tls'
import { WebSocket, WebSocketServer } from 'ws'
import type { RawData } from 'ws'
import { serve, type ServeOptions } from '../../../adapters/node/http.ts'
import { createUpgrade } from '../../../adapters/node/upgrade.ts'
import type { UpstreamFailure } from '../../../src/host.ts'
import type { WorkerRef } from '../../../src/host.ts'
import { client, exchange, worker } from './rig.ts'

/** A router that joins every WebSocket with one worker; `closed` counts. */
async function joiner(t: TestContext, ref: WorkerRef, tls?: ServeOptions['tls']) {
  const ends = { count: 0 }
  const served = await serve(async (request) => {
    const { pathname: path } = new URL(request.url)
    const headers = ['authorization', 'Bearer ours']
    const outgoing = {
      method: 'GET',
      path,
      headers,
      body: null,
      connectTimeout: 10_000,
      signal: request.signal,
    }
    try {
      return await createUpgrade()(ref, request, outgoing, () => ends.count++)
    } catch (error) {
      return Response.json({ kind: (error as UpstreamFailure).kind }, { status: 502 })
    }
  }, tls && { tls })
  t.after(() => served.close(0))
  return { url: served.url, ends }
}

const textOf = (message: RawData) => (message as Buffer).toString()

const HANDSHAKE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

test('messages travel both ways, and the end is told once', async (t) => {
  const engine = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => engine.close())
  await once(engine, 'listening')
  engine.on('connection', (socket, request) => {
    socket.on('message', (message, isBinary) => {
      if (isBinary) socket.send(message)
      else socket.send(`${request.url} ${request.headers.authorization} ${textOf(message)}`)
    })
  })
  const { port } = engine.address() as { port: number }
  const { url, ends } = await joiner(t, { id: 'w', url: `http://127.0.0.1:${port}/base`, engine: 'vllm' })
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/realtime`)
  await once(socket, 'open')
  socket.send('hello')
  assert.equal(String((await once(socket, 'message'))[0]), '/base/v1/realtime Bearer ours hello')
  const large = Buffer.alloc(5_000_000, 7)
  socket.send(large)
  assert.deepEqual((await once(socket, 'message'))[0], large)
  socket.close()
  await once(socket, 'close')
  while (ends.count === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ends.count, 1)
})

test("a worker's refusal of the handshake reaches the client as it is", async (t) => {
  const { ref } = await worker(t, async (peer) => {
    await peer.until('\r\n\r\n')
    peer.socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nX-Why: key\r\n\r\nnope')
  })
  const { url, ends } = await joiner(t, ref)
  const text = await exchange(t, url, HANDSHAKE)
  assert.match(text, /^HTTP\/1\.1 403 [^]*X-Why: key[^]*nope$/)
  assert.equal(ends.count, 1)
})

test('a worker that cannot be reached is refused in plain HTTP', async (t) => {
  const { url } = await joiner(t, { id: 'w', url: 'unix:/nowhere/at.all', engine: 'vllm' })
  const text = await exchange(t, url, HANDSHAKE)
  assert.match(text, /^HTTP\/1\.1 502 [^]*{"kind":"connect"}$/)
})

test('a client that leaves in the handshake closes the worker', async (t) => {
  const { ref, peers } = await worker(t, () => undefined)
  const { url } = await joiner(t, ref)
  const peer = await client(t, url)
  peer.socket.write(HANDSHAKE)
  while (peers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await peers[0]!.until('dGhlIHNhbXBsZSBub25jZQ==')
  peer.socket.destroy()
  await peers[0]!.closed
})

test('bytes sent right behind either handshake are not lost', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    await peer.until('\r\n\r\n')
    peer.socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfrom worker',
    )
  })
  const { url } = await joiner(t, ref)
  const peer = await client(t, url)
  peer.socket.write(`${HANDSHAKE}from client`)
  await peer.until('from worker')
  while (peers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await peers[0]!.until('from client')
})

test('nor are they over TLS, in as many records as they may be', async (t) => {
  const { ref, peers } = await worker(t, (peer) => peer.until('\r\n\r\n'))
  const [cert, key] = ['cert', 'key'].map((name) =>
    readFileSync(new URL(`tls/${name}.pem`, import.meta.url), 'utf8'),
  )
  const { url } = await joiner(t, ref, { cert: cert!, key: key! })
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', ca: cert! })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  socket.cork()
  for (const text of [HANDSHAKE.slice(0, 40), `${HANDSHAKE.slice(40)}from client`, ', and more'])
    socket.write(text)
  socket.uncork()
  while (peers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  peers[0]!.socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  )
  await peers[0]!.until('from client, and more')
})

test('a request for another protocol is an ordinary request', async (t) => {
  const served = await serve(async (request) => new Response(await request.text()))
  t.after(() => served.close(0))
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n'
  const text = await exchange(
    t,
    served.url,
    `${head}HTTP2-Settings: AAMAAABkAAQ\r\nContent-Length: 2\r\n\r\nhi`,
  )
  assert.match(text, /^HTTP\/1\.1 200 [^]*hi$/)
})
