// What a client sees on a lane is what node:http would have sent: each request is sent both ways, whole and byte by byte.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { probe } from '../../../../adapters/node/client/parser.ts'
import { NativeResponse, type Sink } from '../../../../adapters/node/response.ts'
import { serve, type Handler, type Served, type ServeOptions } from '../../../../adapters/node/http.ts'
import { client } from '../rig.ts'
import { H, handler, LAST, requests } from './_requests.ts'

/** All that comes back until the connection ends. */
async function answer(t: TestContext, { url }: Served, pieces: readonly string[]): Promise<string> {
  const peer = await client(t, url)
  peer.socket.setNoDelay(true)
  for (const piece of pieces) {
    if (!peer.socket.writable) break
    peer.socket.write(piece, 'latin1')
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve))
  }
  await peer.closed
  return peer.text.replaceAll(/Date: [^\r]+/g, 'Date: now')
}

const servers = new Map<boolean, Promise<Served>>()
const server = (lanes: boolean) => {
  const known = servers.get(lanes) ?? serve(handler, { lanes, maxHeader: 4096 })
  servers.set(lanes, known)
  return known
}

test('on a lane a client sees what it would see of node:http', async (t) => {
  for (const [name, request] of Object.entries(requests)) {
    await t.test(name, async (t) => {
      const [lane, ordinary] = await Promise.all([server(true), server(false)])
      const expected = await answer(t, ordinary, [request])
      assert.equal(await answer(t, lane, [request]), expected)
      const half = Math.ceil(request.length / 2)
      assert.equal(
        await answer(t, lane, [request.slice(0, half), request.slice(half)]),
        await answer(t, ordinary, [request.slice(0, half), request.slice(half)]),
      )
    })
  }
})
test.after(async () => {
  for (const one of servers.values()) await (await one).close(0)
})

const pause = () => new Promise((resolve) => setImmediate(resolve))
const open = async (t: TestContext, handle: Handler, options: ServeOptions = {}) => {
  const served = await serve(handle, options)
  t.after(() => served.close(0))
  return served
}
const get = (path: string) => `GET ${path} HTTP/1.1\r\n${H}\r\n`

test('a pipelined request is served when the response before it is out', async (t) => {
  const release = Promise.withResolvers<void>()
  const asked: string[] = []
  const { url } = await open(t, async (request) => {
    asked.push(new URL(request.url).pathname)
    if (asked.length === 1) await release.promise
    return new Response(`<${asked.length}>`)
  })
  const peer = await client(t, url)
  peer.socket.write(get('/1') + get('/2') + get('/3'))
  while (asked.length === 0) await pause()
  await pause()
  assert.deepEqual(asked, ['/1'])
  release.resolve()
  await peer.until('<3>')
  assert.deepEqual(peer.text.match(/<\d>/g), ['<1>', '<2>', '<3>'])
})

test('requests behind one whose upgrade is passed over are answered, also where they come with it', async (t) => {
  const { url } = await open(t, async (request) => new Response(`<${await request.text()}>`))
  const h2c = `${H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n`
  const webSocket = `${H}Connection: Upgrade\r\nUpgrade: websocket\r\n`
  const next = `POST / HTTP/1.1\r\n${H}Content-Length: 4\r\n\r\nnext`
  for (const first of [
    `GET / HTTP/1.1\r\n${h2c}\r\n`,
    `POST / HTTP/1.1\r\n${h2c}Content-Length: 2\r\n\r\nab`,
    `POST / HTTP/1.1\r\n${h2c}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    `POST / HTTP/1.1\r\n${webSocket}Content-Length: 2\r\n\r\nab`,
  ]) {
    const own = first.startsWith('GET') ? '<>' : '<ab>'
    const peer = await client(t, url)
    peer.socket.write(next + first + next + first + first + next + LAST)
    await peer.closed
    const answers = peer.text.match(/<\w*>|HTTP\/1.1 [^2].*/g)
    assert.deepEqual(answers, ['<next>', own, '<next>', own, own, '<next>', '<>'], first)
  }
})

test('thousands of pipelined requests are answered at once, in order', async (t) => {
  let count = 0
  const { url } = await open(t, () => new Response(`<${++count}>`))
  const peer = await client(t, url)
  peer.socket.write(get('/').repeat(5000))
  await peer.until('<5000>')
  const numbers = [...peer.text.matchAll(/<(\d+)>/g)].map(([, number]) => Number(number))
  assert.deepEqual(
    numbers,
    Array.from({ length: 5000 }, (_, i) => i + 1),
  )
})

test('nothing is served behind a response that closes the connection, nor to a client that left while in line', async (t) => {
  const asked: string[] = []
  const left = Promise.withResolvers<void>()
  const { url } = await open(t, async (request) => {
    asked.push(new URL(request.url).pathname)
    if (request.url.endsWith('/wait')) {
      request.signal.addEventListener('abort', () => left.resolve())
      await left.promise
    }
    return new Response('ok')
  })
  const closing = await client(t, url)
  closing.socket.write(LAST + get('/behind'))
  await closing.closed
  const leaving = await client(t, url)
  leaving.socket.write(get('/wait') + get('/line'))
  while (!asked.includes('/wait')) await pause()
  leaving.socket.destroy()
  await left.promise
  await pause()
  assert.deepEqual(asked, ['/last', '/wait'])
})

test('a client that sends more than anybody takes is held back', async (t) => {
  const { url } = await open(t, () => new Promise<Response>(() => undefined))
  const upload = `POST / HTTP/1.1\r\n${H}Content-Length: 100000000\r\n\r\n`
  for (const [first, more] of [
    ['', get('/').repeat(2000)],
    [upload, 'x'.repeat(65_536)],
  ] as const) {
    const peer = await client(t, url)
    let taken = 0
    peer.socket.write(first)
    for (let i = 0; i < 400; i++) peer.socket.write(more, () => taken++)
    let before = -1
    while (before !== taken || taken === 0) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.ok(taken < 300, `${taken} pieces were taken`)
  }
})

test('a body that nobody reads, but that is here, does not cost the connection', async (t) => {
  const { url } = await open(t, () => new Response('<ok>'))
  const peer = await client(t, url)
  peer.socket.write(`POST / HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc${get('/')}`)
  await peer.until('<ok>HTTP/1.1 200 OK')
})

test('a slow reader holds the source of its answer back', async (t) => {
  let pulled = 0
  const { url } = await open(t, () => {
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      pulled++
      controller.enqueue(new Uint8Array(65_536))
    }
    return new Response(new ReadableStream({ pull }))
  })
  const peer = await client(t, url)
  peer.socket.pause()
  peer.socket.write(get('/'))
  let before = -1
  while (before !== pulled || pulled === 0) {
    before = pulled
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.ok(pulled < 400, `${pulled} pieces were made`)
  peer.socket.resume()
  while (pulled < before + 100) await pause()
})

test('a source that gives what it has though there is no room is told of room all the same', async (t) => {
  const bytes = Buffer.alloc(65_536, 'x')
  const room: boolean[] = []
  let sink: Sink
  const { url } = await open(t, () => {
    const flow = (given: Sink) => {
      sink = given
      // The system takes all of the first at once: at the second the socket is empty, and its 'drain' still to come.
      room.push(sink.write(bytes, false), sink.write(Buffer.from('y'), false))
    }
    const source = { flow, resume: () => sink.end(Buffer.from('<told>')), cancel: () => undefined }
    return new NativeResponse(200, ['Content-Length', '65543'], source) as unknown as Response
  })
  const peer = await client(t, url)
  peer.socket.write(get('/'))
  await peer.until('xy')
  assert.deepEqual(room, [false, false])
  await peer.until('<told>')
})

test('an idle connection is closed after its time, one that works or is fresh is not', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const never = Promise.withResolvers<Response>()
  const handshake = `GET /wait HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
  const { url } = await open(t, (request) =>
    request.url.endsWith('/wait') ? never.promise : new Response('ok'),
  )
  const [idle, busy, fresh, taken] = [
    await client(t, url),
    await client(t, url),
    await client(t, url),
    await client(t, url),
  ]
  idle.socket.write(get('/'))
  await idle.until('ok')
  busy.socket.write(get('/wait'))
  taken.socket.write(get('/'))
  await taken.until('ok')
  taken.socket.write(handshake)
  await client(t, url).then((other) => (other.socket.write(get('/')), other.until('ok')))
  t.mock.timers.tick(70_000)
  assert.equal(idle.socket.destroyed, false)
  t.mock.timers.tick(15_000)
  await idle.closed
  const others = [busy, fresh, taken].map(({ socket }) => socket.readyState)
  assert.deepEqual(others, ['open', 'open', 'open'])
})

test('a parser is node:http’s again when its connection has ended', async (t) => {
  const { url } = await open(t, () => new Response('ok'))
  for (let i = 0; i < 3; i++) {
    const peer = await client(t, url)
    peer.socket.write(get('/'))
    await peer.until('ok')
    peer.socket.destroy()
    await peer.closed
  }
  const other = createServer((_req, res) => res.end('other')).listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  // Both ends of this take parsers from the pool.
  const answer = await new Promise<IncomingMessage>((resolve) => {
    request({ port: (other.address() as AddressInfo).port, host: '127.0.0.1', agent: false }, resolve).end()
  })
  assert.equal((await answer.toArray()).join(''), 'other')
})

test('a handshake takes a kept connection out of HTTP, unless a response is due on it', async (t) => {
  const hold = Promise.withResolvers<Response>()
  const { url } = await open(t, (request) => {
    const isUpgrade = request.headers.has('upgrade')
    return request.url.endsWith('/wait') ? hold.promise : new Response(isUpgrade ? '<no socket>' : '<ok>')
  })
  const handshake = `GET /ws HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
  const kept = await client(t, url)
  kept.socket.write(get('/'))
  await kept.until('<ok>')
  kept.socket.write(handshake)
  // A refusal, written by hand on the socket that node:http gave away.
  assert.match(await kept.until('<no socket>'), /<ok>HTTP\/1\.1 200 [^]*Connection: close/)
  const early = await client(t, url)
  early.socket.write(get('/wait') + handshake)
  early.socket.write('frames')
  await pause()
  hold.resolve(new Response('<due>'))
  await early.closed
  assert.match(early.text, /<due>HTTP\/1\.1 400 [^]*Connection: close/)
})

test('the parser of this Node is as expected', () => {
  const shape = probe()
  assert.deepEqual(shape?.methods.filter((name) => name === 'GET' || name === 'POST').toSorted(), [
    'GET',
    'POST',
  ])
})
