// Requests whose head came before pass the parser, and nobody can tell.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { serve, type Handler } from '../../../../adapters/node/http.ts'
import { bodies } from '../../../../adapters/node/body-memory.ts'
import { KnownHeads } from '../../../../adapters/node/client/known-heads.ts'
import { probe } from '../../../../adapters/node/client/parser.ts'
import { SocketResponse } from '../../../../adapters/node/upgrade.ts'
import { client, type Peer } from '../rig.ts'
import { H, handler, requests } from './_requests.ts'

const skip = probe() === null
const POST = (length: number, path = '/echo') =>
  `POST ${path} HTTP/1.1\r\n${H}Content-Length: ${length}\r\n\r\n`

async function open(t: TestContext, handle: Handler, lanes = true) {
  const served = await serve(handle, { lanes, maxHeader: 4096 })
  t.after(() => served.close(0))
  return served
}

/** Counts the requests that passed the parser. */
function passed(t: TestContext): () => number {
  const find = t.mock.method(KnownHeads.prototype, 'find')
  return () => find.mock.calls.filter(({ result }) => result !== null).length
}

/** A client whose heads are known. */
async function known(t: TestContext, url: string, path?: string): Promise<Peer> {
  const peer = await client(t, url)
  peer.socket.setNoDelay(true)
  for (const word of ['one', 'seven', 'eleven']) {
    peer.socket.write(POST(word.length, path) + word)
    await peer.until(`\r\n\r\n${word}`)
  }
  peer.text = ''
  return peer
}

const withoutDate = (text: string) => text.replaceAll(/Date: [^\r]+/g, 'Date: now')

test(
  'what comes behind requests that passed the parser is answered as it is without a lane',
  { skip },
  async (t) => {
    const hits = passed(t)
    const servers = [await open(t, handler), await open(t, handler, false)]
    for (const [name, text] of Object.entries(requests)) {
      for (const pieces of [[text], [text.slice(0, text.length >> 1), text.slice(text.length >> 1)]]) {
        const [lane, ordinary] = await Promise.all(
          servers.map(async ({ url }) => {
            const peer = await known(t, url)
            for (const piece of pieces) {
              if (peer.socket.writable) peer.socket.write(piece, 'latin1')
              await new Promise((resolve) => setImmediate(resolve))
            }
            await peer.closed
            return withoutDate(peer.text)
          }),
        )
        assert.equal(lane, ordinary, name)
      }
    }
    assert.ok(hits() >= 2 * Object.keys(requests).length)
  },
)

test('a head is learnt from the second request of a connection on', { skip }, async (t) => {
  const hits = passed(t)
  const { url } = await open(t, () => new Response('ok'))
  const peer = await client(t, url)
  for (const wanted of [0, 0, 1, 2]) {
    peer.text = ''
    peer.socket.write(`${POST(1)}x`)
    await peer.until('ok')
    assert.equal(hits(), wanted)
  }
})

test(
  'a body arrives whole, at once or in pieces, and what is behind it is the next request',
  { skip },
  async (t) => {
    const hits = passed(t)
    const { url } = await open(t, handler)
    const peer = await known(t, url)
    const before = hits()
    for (const size of [0, 1, 4095, 4096, 50_000, 65_536, 300_000, 1_500_000]) {
      const body = Array.from({ length: size }, (_, i) => String.fromCharCode(97 + (i % 23))).join('')
      for (const pieces of [1, 7]) {
        peer.text = ''
        const message = POST(size) + body
        const head = POST(size).length
        const step = Math.ceil(body.length / pieces) || 1
        peer.socket.write(message.slice(0, head + step))
        for (let at = head + step; at < message.length; at += step) {
          await new Promise((resolve) => setImmediate(resolve))
          peer.socket.write(message.slice(at, at + step))
        }
        await peer.until(`Content-Length: ${size}\r\n`).catch(() => undefined)
        while (peer.text.length < peer.text.indexOf('\r\n\r\n') + 4 + size) await once(peer.socket, 'data')
        assert.equal(peer.text.slice(peer.text.indexOf('\r\n\r\n') + 4), body)
      }
    }
    assert.equal(hits() - before, 16)
    peer.text = ''
    peer.socket.write(`${POST(3)}abc${POST(4)}defg${POST(2)}hi`)
    const text = await peer.until('\r\n\r\nhi')
    assert.deepEqual(
      [...text.matchAll(/\r\n\r\n([a-i]*)/g)].map(([, body]) => body),
      ['abc', 'defg', 'hi'],
    )
  },
)

test('long bodies behind one another come whole, with what is behind them', { skip }, async (t) => {
  const keep = t.mock.method(bodies, 'keep')
  const { url } = await open(t, handler)
  const peer = await known(t, url)
  const sizes = [70_000, 131_072, 131_072, 131_073, 100_000, 200_000, 3, 131_072, 90_000, 262_144, 131_072]
  for (const [i, size] of sizes.entries()) {
    peer.text = ''
    const body = Array.from({ length: size }, (_, at) => String.fromCharCode(97 + ((i + at) % 23))).join('')
    peer.socket.write(`${POST(size)}${body}${POST(2)}<>`)
    await peer.until('\r\n\r\n<>')
    assert.ok(peer.text.includes(`\r\n\r\n${body}HTTP/1.1 200`), `${size} bytes`)
  }
  assert.ok(keep.mock.callCount() <= sizes.length)
  // Now its buffers are as large as they get: what was sent at once is read at once.
  for (let i = 0; i < 8; i++) {
    peer.text = ''
    const body = String.fromCharCode(97 + i).repeat(131_072)
    peer.socket.write(POST(body.length) + body)
    await peer.until(`\r\n\r\n${body}`)
  }
  assert.ok(keep.mock.callCount() > 0)
})

test('the headers of a request tell its own length', { skip }, async (t) => {
  const lengths: (string | null)[] = []
  const { url } = await open(t, async (request) => {
    const { headers } = request
    const body = await request.text()
    lengths.push(headers.get('content-length'))
    return new Response(body)
  })
  const peer = await known(t, url)
  peer.socket.write(`${POST(4)}last`)
  await peer.until('last')
  assert.deepEqual(lengths, ['3', '5', '6', '4'])
})

test(
  'a client that ends its connection within a body is told as it is without a lane',
  { skip },
  async (t) => {
    const [lane, ordinary] = await Promise.all(
      [true, false].map(async (lanes) => {
        const { url } = await open(t, handler, lanes)
        const peer = await known(t, url)
        peer.socket.end(`${POST(9)}half`)
        await peer.closed
        return withoutDate(peer.text)
      }),
    )
    assert.match(lane!, /^HTTP\/1\.1 400 /)
    assert.equal(lane, ordinary)
  },
)

test('a handler hears of a client that leaves within a body', { skip }, async (t) => {
  const cut = Promise.withResolvers<unknown>()
  const { url } = await open(t, async (request) => {
    const reading = request.bytes()
    reading.catch(cut.resolve)
    return new Response(await reading)
  })
  const peer = await known(t, url)
  peer.socket.write(`${POST(9)}half`, () => peer.socket.resetAndDestroy())
  assert.equal(((await cut.promise) as { code: string }).code, 'body_cut')
})

test('a client that sends more than anybody takes is held back', { skip }, async (t) => {
  const { url } = await open(t, (request) =>
    request.headers.get('content-length')!.length < 4
      ? request.text().then((text) => new Response(text))
      : new Promise<Response>(() => undefined),
  )
  const peer = await known(t, url)
  let taken = 0
  peer.socket.write(POST(100_000_000))
  for (let i = 0; i < 400; i++) peer.socket.write('x'.repeat(65_536), () => taken++)
  let before = -1
  while (before !== taken || taken === 0) {
    before = taken
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.ok(taken < 300, `${taken} pieces were taken`)
})

test('a body as a web stream is what was sent, read slowly', { skip }, async (t) => {
  const { url } = await open(t, async (request) => {
    let size = 0
    let sum = 0
    for await (const bytes of request.body!) {
      await new Promise((resolve) => setImmediate(resolve))
      size += bytes.length
      for (const byte of bytes) sum = (sum * 31 + byte) | 0
    }
    return new Response(size < 10 ? ['', '', '', 'one', '', 'seven', 'eleven'][size] : `<${size} ${sum}>`)
  })
  const peer = await known(t, url)
  const body = Array.from({ length: 700_000 }, (_, i) => String.fromCharCode(97 + (i % 23))).join('')
  let sum = 0
  for (let i = 0; i < body.length; i++) sum = (sum * 31 + body.charCodeAt(i)) | 0
  peer.socket.write(POST(body.length) + body)
  assert.match(await peer.until('>'), new RegExp(`<700000 ${sum}>`))
})

test(
  'an answer that comes before the body is whole is read, and the connection ends',
  { skip },
  async (t) => {
    const { url } = await open(t, async (request) => {
      const isShort = request.headers.get('content-length')!.length < 4
      return new Response(isShort ? await request.text() : '<early>')
    })
    const peer = await known(t, url)
    peer.socket.write(`${POST(500_000)}${'x'.repeat(200_000)}`)
    assert.match(await peer.until('<early>'), /Connection: close/)
    peer.socket.write('x'.repeat(300_000))
    await peer.closed
  },
)

test('what comes with a handshake stays what it is while others are read', { skip }, async (t) => {
  const early = Promise.withResolvers<string>()
  const other = Promise.withResolvers<void>()
  class Taken extends SocketResponse {
    get status() {
      return 101
    }
    get headers() {
      return new Headers()
    }
    get body() {
      return null
    }
    attach(_client: unknown, bytes: Buffer) {
      early.resolve(bytes.toString())
    }
    drop() {}
  }
  const { url } = await open(t, async (request) => {
    if (!request.headers.has('upgrade')) return new Response(await request.text())
    await other.promise
    return new Taken() as unknown as Response
  })
  const peer = await known(t, url)
  peer.socket.write(`GET /ws HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst words`)
  const loud = await known(t, url)
  loud.socket.write(POST(400) + 'x'.repeat(400))
  await loud.until('xxx')
  peer.socket.write(', and more')
  await new Promise((resolve) => setTimeout(resolve, 20))
  other.resolve()
  assert.equal(await early.promise, 'first words, and more')
})
