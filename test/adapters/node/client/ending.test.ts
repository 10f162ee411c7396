// Where not all is well a client can still read what it was answered, and never takes a part for the whole.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { serve, type Handler } from '../../../../adapters/node/http.ts'
import { NativeResponse, type Sink } from '../../../../adapters/node/response.ts'
import { client, peerOf, type Peer } from '../rig.ts'

const get = (path: string, version = '1.1') => `GET ${path} HTTP/${version}\r\nHost: a\r\n\r\n`
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n'

/** An answer of a worker that breaks off: at once, or when the client has some of it. */
function breaking(hasLength: boolean, some?: Promise<void>): Response {
  const flow = (sink: Sink) => {
    const broken = () => sink.break(new Error('the worker died'))
    if (some === undefined) return broken()
    sink.write(Buffer.from('<half>'), false)
    void some.then(broken)
  }
  const source = { flow, resume: () => undefined, cancel: () => undefined }
  return new NativeResponse(200, hasLength ? ['Content-Length', '100'] : [], source) as unknown as Response
}

/** A client that goes on sending when the server has ended its side. */
async function open(t: TestContext, handle: Handler): Promise<Peer & { ended: Promise<void> }> {
  const served = await serve(handle)
  t.after(() => served.close(0))
  const socket = connect({ port: served.port, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  const peer = peerOf(socket)
  return Object.assign(peer, { ended: new Promise<void>((resolve) => socket.once('end', resolve)) })
}

test('a worker that breaks off while nothing of its answer is out is told as a 502, behind the answers before', async (t) => {
  const served: string[] = []
  const peer = await open(t, ({ url }) => {
    served.push(new URL(url).pathname)
    return url.endsWith('/break') ? breaking(true) : new Response('<ok>')
  })
  peer.socket.write(get('/1') + get('/break') + get('/3'))
  await peer.ended
  assert.deepEqual(served, ['/1', '/break'])
  const [, first, second] = peer.text.split('HTTP/1.1 ')
  assert.match(first!, /^200 OK\r\n[^]*<ok>$/)
  assert.match(second!, /^502 Bad Gateway\r\n[^]*\r\nx-fetchway-error: worker_died\r\n/)
  assert.match(second!, /\r\nConnection: close\r\n/)
  const [head, body] = second!.split('\r\n\r\n')
  assert.equal(JSON.parse(body!).error.code, 'worker_died')
  assert.equal(Number(/Content-Length: (\d+)/.exec(head!)?.[1]), body!.length)
})

const endings: Record<string, (some: Promise<void>) => Response> = {
  'breaks in its middle': (some) => breaking(true, some),
  'breaks before its first byte': () => breaking(true),
  'is the last one': () => new Response('<half>', { headers: { Connection: 'close' } }),
}
for (const [name, made] of Object.entries(endings)) {
  test(`behind an answer that ${name} a pipelining client may go on sending while it reads`, async (t) => {
    const some = Promise.withResolvers<void>()
    const served: string[] = []
    const peer = await open(t, ({ url }) => {
      served.push(new URL(url).pathname)
      return url.endsWith('/2') ? made(some.promise) : new Response('<ok>')
    })
    peer.socket.write(get('/1') + get('/2') + get('/3'))
    await peer.until('<ok>')
    some.resolve()
    await peer.ended
    assert.match(peer.text, /<ok>HTTP\/1\.1 (?:200|502) /)
    // A socket that was closed would answer each of these with a reset.
    for (let i = 0; i < 20; i++) {
      peer.socket.write(get('/late'))
      await new Promise((resolve) => setImmediate(resolve))
    }
    peer.socket.end()
    await peer.closed
    assert.equal(peer.socket.errored, null)
    assert.deepEqual(served, ['/1', '/2'])
  })
}

test('a client that ends its side within an answer sees a reset where an end would look whole', async (t) => {
  const never = new Promise<void>(() => undefined)
  const peer = await open(t, () => breaking(false, never))
  const broke = once(peer.socket, 'error')
  peer.socket.write(get('/', '1.0'))
  await peer.until('<half>')
  peer.socket.end()
  const [error] = (await broke) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNRESET')
})

test('a client that ends its side within a framed answer sees where it breaks off', async (t) => {
  const never = new Promise<void>(() => undefined)
  const peer = await open(t, () => breaking(true, never))
  peer.socket.write(get('/'))
  await peer.until('<half>')
  peer.socket.end()
  await peer.ended
  assert.ok(peer.text.startsWith(HALF) && peer.text.endsWith('<half>'))
})

test('a refusal is read by a client that asked before its body, and sends it without a word', async (t) => {
  for (const lanes of [true, false]) {
    const served = await serve(() => new Response('<refused>', { status: 413 }), { lanes })
    t.after(() => served.close(0))
    const peer = await client(t, served.url)
    peer.socket.pause()
    const length = 'Content-Length: 2000000'
    peer.socket.write(`POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n${length}\r\n\r\n`)
    await new Promise((resolve) => setTimeout(resolve, 30))
    for (let i = 0; i < 20; i++) peer.socket.write('x'.repeat(100_000))
    await new Promise((resolve) => setTimeout(resolve, 30))
    peer.socket.resume()
    await peer.closed
    assert.match(peer.text, /^HTTP\/1\.1 413 [^]*Connection: close\r\n[^]*<refused>$/, String(lanes))
  }
})
