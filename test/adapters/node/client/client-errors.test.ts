// What a client sends that is no request, or an odd one, is refused for itself: answers that are due before it come first.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { serve, type Handler } from '../../../../adapters/node/http.ts'
import { client, exchange } from '../rig.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

async function open(t: TestContext, handle: Handler = () => new Response('<ok>')): Promise<string> {
  const served = await serve(handle)
  t.after(() => served.close(0))
  return served.url
}

/** Statuses of answers, in their order. */
const statusesOf = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))

const later = () => new Promise<Response>((resolve) => setTimeout(() => resolve(new Response('<ok>')), 20))
const streamed = () => {
  let count = 0
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    controller.enqueue(Buffer.from(`<${++count}>`))
    if (count === 4) controller.close()
  }
  return new Response(new ReadableStream({ pull }))
}

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: h2c\r\n'
const wrong: Record<string, string> = {
  garbage: 'no request at all\r\n\r\n',
  'a broken head': 'GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n',
  'a body of broken chunks with an upgrade that is passed over': `POST / HTTP/1.1\r\nHost: a\r\n${UPGRADE}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`,
  'a body of broken chunks': 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n',
}
for (const [name, sent] of Object.entries(wrong)) {
  test(`${name} behind requests is refused behind their answers`, async (t) => {
    const once = await exchange(t, await open(t, later), GET + sent)
    assert.deepEqual(statusesOf(once), [200, 400])
    assert.match(once, /<ok>HTTP\/1\.1 400 [^]*Connection: close/)
    assert.deepEqual(statusesOf(await exchange(t, await open(t), GET + GET + sent)), [200, 200, 400])
    const twice = await exchange(t, await open(t, later), GET + GET + sent)
    assert.deepEqual(statusesOf(twice), [200, 200, 400])
  })
}

test('garbage behind a request whose upgrade is passed over is refused behind its answer', async (t) => {
  for (const garbage of Object.values(wrong)) {
    const text = await exchange(t, await open(t), `GET / HTTP/1.1\r\nHost: a\r\n${UPGRADE}\r\n${garbage}`)
    assert.deepEqual(statusesOf(text), [200, 400], garbage)
  }
})

test('garbage that comes within an answer does not cut it', async (t) => {
  const peer = await client(t, await open(t, streamed))
  peer.socket.write(GET)
  await peer.until('<1>')
  peer.socket.write(wrong['garbage']!)
  await peer.closed
  assert.match(peer.text, /<4>\r\n0\r\n\r\nHTTP\/1\.1 400 /)
})

test('what comes behind the last request of a connection is no matter', async (t) => {
  for (const more of [GET, 'garbage', '\r\n', wrong['a broken head']!]) {
    for (const handle of [later, () => new Response('<ok>'), streamed]) {
      const text = await exchange(t, await open(t, handle), LAST + more)
      assert.deepEqual(statusesOf(text), [200], more)
    }
  }
})

test('a request that names two hosts is refused', async (t) => {
  const text = await exchange(t, await open(t), `GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n${LAST}`)
  assert.deepEqual(statusesOf(text)[0], 400)
})

test('a body in another coding than chunks is refused', async (t) => {
  const body = '1\r\na\r\n0\r\n\r\n'
  for (const lines of ['gzip, chunked', 'gzip\r\nTransfer-Encoding: chunked']) {
    const head = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${lines}\r\n\r\n`
    assert.deepEqual(statusesOf(await exchange(t, await open(t), GET + head + body + LAST)), [200, 501])
  }
  const plain = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n'
  assert.deepEqual(statusesOf(await exchange(t, await open(t), plain + body + LAST)), [200, 200])
})

test('a client that ends its side behind a part of a request has left', async (t) => {
  for (const part of [
    'GET / HT',
    'garbage\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab',
  ]) {
    const left = Promise.withResolvers<void>()
    const url = await open(t, ({ signal }) => {
      signal.addEventListener('abort', () => left.resolve())
      return new Promise(() => undefined)
    })
    const peer = await client(t, url)
    peer.socket.end(GET + part)
    await left.promise
  }
})

test('who waits for a word before a body that there is none of keeps the connection', async (t) => {
  for (const start of ['GET / HTTP/1.1\r\n', 'POST / HTTP/1.1\r\nContent-Length: 0\r\n']) {
    const text = await exchange(t, await open(t), `${start}Host: a\r\nExpect: 100-continue\r\n\r\n${LAST}`)
    assert.deepEqual(statusesOf(text), [200, 200])
  }
})

test('a CONNECT is refused', async (t) => {
  const text = await exchange(t, await open(t), 'CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 405 [^]*x-fetchway-error: method_not_allowed\r\n/)
})

test('a head that is not due yet is waited for behind an answer that takes its time', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  for (const [begun, rest] of [
    ['\r\n', GET],
    ['GET / HT', 'TP/1.1\r\nHost: a\r\n\r\n'],
  ] as const) {
    const release = Promise.withResolvers<void>()
    const peer = await client(t, await open(t, () => release.promise.then(() => new Response('<ok>'))))
    peer.socket.write(GET + begun)
    await new Promise((resolve) => setTimeout(resolve, 30))
    t.mock.timers.tick(70_000)
    release.resolve()
    await peer.until('<ok>')
    peer.socket.write(rest)
    await peer.until('<ok>HTTP/1.1 200 OK')
  }
})
