import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { serve } from '../../../adapters/node/http.ts'
import type { Handler, Served, ServeOptions } from '../../../adapters/node/http.ts'
import { client, exchange, GET, post } from './rig.ts'

type Serve = (handler: Handler, options?: ServeOptions) => Promise<Served>

/** Runs a test on lanes and on node:http's own messages. `open` closes what it served; `plain` does not. */
function both(name: string, run: (t: TestContext, open: Serve, plain: Serve) => Promise<void>): void {
  for (const lanes of [true, false]) {
    test(lanes ? name : `${name} (node:http's messages)`, (t) => {
      const plain: Serve = (handler, options) => serve(handler, { ...options, lanes })
      const open: Serve = async (handler, options) => {
        const served = await plain(handler, options)
        t.after(() => served.close(0))
        return served
      }
      return run(t, open, plain)
    })
  }
}

const ok = () => new Response('ok')
const CLOSING = 'Host: a\r\nConnection: close\r\n'

both('a request shows its parts as the standard has them', async (t, open) => {
  const { url } = await open(async (request) => {
    assert.ok(request instanceof Request)
    assert.ok(request.headers instanceof Headers)
    const { method, headers } = request
    const body = await request.json()
    return Response.json({
      method,
      url: request.url,
      one: headers.get('X-ONE'),
      all: [...headers.keys()],
      body,
    })
  })
  const text = await exchange(t, url, post('{"b":2}', 'X-One: 1\r\nx-one: 2\r\nConnection: close\r\n'))
  const shown = JSON.parse(text.slice(text.indexOf('\r\n\r\n')))
  const all = ['host', 'content-length', 'x-one', 'connection']
  assert.deepEqual(shown, { method: 'POST', url: 'http://test/v1/chat', one: '1, 2', all, body: { b: 2 } })
})

both('what the standard can do with a request works on the look-alike', async (_t, open) => {
  const { url } = await open(async (request) => {
    const copy = new Request(request.url, { method: 'POST', headers: request.headers })
    const form = await request.formData()
    return Response.json({ type: copy.headers.get('content-type'), field: form.get('a') })
  })
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams({ a: 'x y' }) })
  assert.deepEqual(await answer.json(), {
    type: 'application/x-www-form-urlencoded;charset=UTF-8',
    field: 'x y',
  })
})

both('a body comes whole, with a length, in chunks, and as a stream', async (_t, open) => {
  const { url } = await open(async (request) => {
    if (!request.url.endsWith('/stream')) return new Response(String((await request.bytes()).byteLength))
    let size = 0
    for await (const bytes of request.body!) size += bytes.byteLength
    return new Response(String(size))
  })
  const size = 3_000_000
  const chunks = () =>
    new ReadableStream({
      start(controller) {
        for (let i = 0; i < 30; i++) controller.enqueue(new Uint8Array(size / 30))
        controller.close()
      },
    })
  const sized = await fetch(url, { method: 'POST', body: new Uint8Array(size) })
  const chunked = await fetch(url, { method: 'POST', body: chunks(), duplex: 'half' } as RequestInit)
  const streamed = await fetch(`${url}/stream`, {
    method: 'POST',
    body: chunks(),
    duplex: 'half',
  } as RequestInit)
  assert.deepEqual(
    [await sized.text(), await chunked.text(), await streamed.text()],
    [`${size}`, `${size}`, `${size}`],
  )
})

both('the signal tells of a client that left, and never of a normal end', async (_t, open) => {
  const signals: AbortSignal[] = []
  const inside = Promise.withResolvers<void>()
  const { url } = await open(async (request) => {
    signals.push(request.signal)
    if (!request.url.endsWith('/wait')) return ok()
    inside.resolve()
    await new Promise((resolve) => request.signal.addEventListener('abort', resolve))
    return ok()
  })
  await (await fetch(url)).text()
  const aborter = new AbortController()
  const leaving = fetch(`${url}/wait`, { signal: aborter.signal })
  await inside.promise
  aborter.abort()
  await assert.rejects(leaving)
  while (!signals[1]!.aborted) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    signals.map((signal) => signal.aborted),
    [false, true],
  )
})

both('a response of known size gets a Content-Length, an empty one 0', async (_t, open) => {
  const { url } = await open((request) => (request.url.endsWith('/none') ? new Response(null) : ok()))
  assert.equal((await fetch(url)).headers.get('content-length'), '2')
  assert.equal((await fetch(`${url}/none`)).headers.get('content-length'), '0')
})

both('a stream reaches the client piece by piece, and its break breaks the answer', async (t, open) => {
  let pieces: ReadableStreamDefaultController<Uint8Array>
  const { url } = await open(() => new Response(new ReadableStream({ start: (c) => void (pieces = c) })))
  const peer = await client(t, url)
  peer.socket.write(GET)
  await peer.until('\r\n\r\n')
  pieces!.enqueue(Buffer.from('one'))
  await peer.until('one')
  pieces!.error(new Error('broke'))
  await peer.closed
  assert.ok(!peer.text.includes('0\r\n\r\n'))
})

both(
  'an answer may begin before its body has come, and the body still reaches who reads it',
  async (t, open) => {
    const { url } = await open(async (request) => new Response(request.body))
    const peer = await client(t, url)
    peer.socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst')
    await peer.until('first')
    peer.socket.write('later')
    await peer.until('later')
    await peer.closed
  },
)

both('a client that leaves cancels the stream it was reading', async (t, open) => {
  const cancelled = Promise.withResolvers<void>()
  const { url } = await open(() => new Response(new ReadableStream({ cancel: () => cancelled.resolve() })))
  const peer = await client(t, url)
  peer.socket.write(GET)
  await peer.until('\r\n\r\n')
  peer.socket.destroy()
  await cancelled.promise
})

both(
  'a refusal is told at once, and a client that sends all of its body first can still read it',
  async (t, open) => {
    const { url } = await open(() => Response.json({ no: 1 }, { status: 413 }))
    const size = 30_000_000
    const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`
    const eager = await client(t, url)
    eager.socket.write(`${head}${'x'.repeat(100_000)}`)
    assert.match(await eager.until('{"no":1}'), /^HTTP\/1\.1 413 [^]*Connection: close/)
    const stubborn = await client(t, url)
    const broke = new Promise((_, reject) => stubborn.socket.once('error', reject))
    const upload = new Promise<void>((resolve) =>
      stubborn.socket.write(head + 'x'.repeat(size), () => resolve()),
    )
    await Promise.race([upload, broke])
    await Promise.race([stubborn.until('{"no":1}'), broke])
    await Promise.race([stubborn.closed, broke])
  },
)

both(
  'a client that waits for 100 Continue gets it when the body is wanted, and only then',
  async (t, open) => {
    const { url } = await open(async (request) => {
      if (request.url.endsWith('/no')) return new Response('no', { status: 401 })
      return new Response(await request.text())
    })
    const head = (path: string) =>
      `POST ${path} HTTP/1.1\r\n${CLOSING}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`
    const wanted = await client(t, url)
    wanted.socket.write(head('/yes'))
    await wanted.until('HTTP/1.1 100 Continue\r\n\r\n')
    wanted.socket.write('hello')
    await wanted.closed
    assert.ok(wanted.text.endsWith('hello'))
    const refused = await exchange(t, url, head('/no'))
    assert.match(refused, /^HTTP\/1\.1 401 /)
  },
)

both('pipelined requests are answered in their order', async (t, open) => {
  const { url } = await open(async (request) => {
    const { pathname } = new URL(request.url)
    if (pathname === '/1') await new Promise((resolve) => setImmediate(resolve))
    return new Response(`<${pathname}>`)
  })
  const pipeline = ['/1', '/2'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
  const text = await exchange(t, url, `${pipeline}GET /3 HTTP/1.1\r\n${CLOSING}\r\n`)
  assert.deepEqual(text.match(/<[^>]+>/g), ['</1>', '</2>', '</3>'])
})

both('broken and smuggled requests get 400 in the shape of the API, large heads 431', async (t, open) => {
  let calls = 0
  const { url } = await open(() => (calls++, ok()), { maxHeader: 4096 })
  const smuggled =
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
  for (const request of ['nonsense\r\n\r\n', smuggled, 'GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n']) {
    const text = await exchange(t, url, request)
    assert.match(text, /^HTTP\/1\.1 400 [^]*"code":"bad_request"/)
  }
  const large = await exchange(t, url, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(5000)}\r\n\r\n`)
  assert.match(large, /^HTTP\/1\.1 431 [^]*"code":"header_too_large"/)
  assert.equal(calls, 0)
})

both('a handler that throws is told of and answered by 500', async (_t, open) => {
  const errors: unknown[] = []
  const handler = () => Promise.reject(new Error('bug'))
  const { url } = await open(handler, { onError: (error) => errors.push(error) })
  assert.equal((await fetch(url)).status, 500)
  assert.match(String(errors[0]), /bug/)
})

both(
  'closing waits for what is live, then ends idle connections and stops listening',
  async (t, _open, plain) => {
    const release = Promise.withResolvers<void>()
    const served = await plain(async () => (await release.promise, ok()))
    const idle = await client(t, served.url)
    const live = await client(t, served.url)
    live.socket.write(GET.replace('Connection: close\r\n', ''))
    while (served.connections() < 2) await new Promise((resolve) => setImmediate(resolve))
    const closed = served.close(10_000)
    release.resolve()
    await Promise.all([closed, idle.closed, live.closed])
    assert.match(live.text, /Connection: close[^]*ok$/)
    await assert.rejects(fetch(served.url))
  },
)

both('closing without grace cuts what is live', async (t, _open, plain) => {
  const served = await plain(() => new Promise<Response>(() => undefined))
  const live = await client(t, served.url)
  live.socket.write(GET)
  while (served.connections() < 1) await new Promise((resolve) => setImmediate(resolve))
  await served.close(0)
  await live.closed
})

both(
  'a unix socket is served; a stale file is taken over, a living one and other files are not',
  async (t, open, plain) => {
    const folder = mkdtempSync(join(tmpdir(), 'front-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const socket = join(folder, 'a.sock')
    const { url } = await open(ok, { socket })
    assert.match(await exchange(t, url, GET), /ok$/)
    await assert.rejects(plain(ok, { socket }), /another process listens/)
    writeFileSync(join(folder, 'file'), 'precious')
    await assert.rejects(plain(ok, { socket: join(folder, 'file') }), /is no socket/)
  },
)
