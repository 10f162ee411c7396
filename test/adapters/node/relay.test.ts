import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChunkDecoder } from '../../../adapters/node/wire/chunks.ts'
import { lived } from '../../_lived.ts'
import { client, exchange, GET, post, router, worker } from './rig.ts'

const sse = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'

test('a body with a length passes with its length, its header spelling and its order', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(
      'HTTP/1.1 418 Odd\r\nX-Engine-ID: a\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n',
    )
    socket.write(
      'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n\r\nhi',
    )
  })
  const text = await exchange(t, (await router(t, ref)).url, GET)
  assert.match(text, /^HTTP\/1\.1 418 /)
  assert.ok(
    text.includes(
      'X-Engine-ID: a\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nDate: Thu, 01 Jan 1970',
    ),
  )
  assert.equal(text.match(/date:/gi)?.length, 1)
  assert.doesNotMatch(text, /x-hop|timeout=9|transfer-encoding/i)
  assert.ok(text.endsWith('\r\n\r\nhi'))
})

test('the worker gets path, query, host and body as they are', async (t) => {
  const { ref, peers } = await worker(t, async ({ socket, until }) => {
    await until('{"a":1}')
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const target = { ...ref, url: `${ref.url}/base/` }
  const request =
    'POST /v1/x?y=%20 HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{"a":1}'
  await exchange(t, (await router(t, target)).url, request)
  const host = ref.url.slice('http://'.length)
  const expected = `POST /base/v1/x?y=%20 HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 7\r\nx-test: yes\r\n\r\n{"a":1}`
  assert.equal(peers[0]!.text, expected)
})

test('chunks cut anywhere, with extensions and trailers, arrive as the same bytes', async (t) => {
  const wire = `${sse}5;name="v"\r\nhello\r\n0006 \r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n`
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    for (const byte of wire) {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  const response = await fetch((await router(t, ref)).url)
  assert.equal(await response.text(), 'hello world')
})

test('a body that ends with its connection ends for the client too', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.end('HTTP/1.0 200 OK\r\n\r\nto the end')
  })
  const response = await fetch((await router(t, ref)).url)
  assert.equal(await response.text(), 'to the end')
})

test('1xx answers before the real one are passed over', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n')
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const response = await fetch((await router(t, ref)).url)
  assert.equal(await response.text(), 'ok')
})

for (const [method, status] of [
  ['HEAD', 200],
  ['GET', 304],
] as const) {
  test(`${method} answered by ${status} keeps its Content-Length and has no body`, async (t) => {
    const { ref } = await worker(t, async ({ socket, until }) => {
      await until('\r\n\r\n')
      socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n`)
    })
    const request = `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
    const text = await exchange(t, (await router(t, ref)).url, request)
    assert.match(text, /Content-Length: 5/)
    assert.ok(text.endsWith('\r\n\r\n'))
  })
}

test('204 has neither body nor framing', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write('HTTP/1.1 204 No Content\r\n\r\n')
  })
  const text = await exchange(t, (await router(t, ref)).url, GET)
  assert.doesNotMatch(text, /content-length|transfer-encoding/i)
})

test('the head and the first bytes reach the client before anything else comes', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(`${sse}3\r\none\r\n`)
  })
  const peer = await client(t, (await router(t, ref)).url)
  peer.socket.write(GET)
  assert.match(await peer.until('one'), /^HTTP\/1\.1 200/)
})

test('a worker that dies inside its body leaves a broken answer, never a finished one', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.end(`${sse}5\r\nhello\r\n`)
  })
  const front = await router(t, ref)
  const text = await exchange(t, front.url, GET.replace('Connection: close\r\n', ''))
  assert.ok(text.includes('hello'))
  assert.ok(!text.includes('0\r\n\r\n'))
  assert.deepEqual(front.told, ['reset'])
})

test('an HTTP/1.0 client sees a reset when the worker dies, for an end would look whole', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.end(`${sse}5\r\nhello\r\n`)
  })
  const peer = await client(t, (await router(t, ref)).url)
  const broke = new Promise((resolve) => peer.socket.once('error', resolve))
  peer.socket.write('GET / HTTP/1.0\r\n\r\n')
  assert.equal(((await broke) as NodeJS.ErrnoException).code, 'ECONNRESET')
})

test('the watch can end a broken stream with bytes of its own', async (t) => {
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.end(`${sse}5\r\nhello\r\n`)
  })
  const front = await router(t, ref, { failWith: '\n\ndata: error\n\n' })
  assert.equal(await (await fetch(front.url)).text(), 'hello\n\ndata: error\n\n')
})

test('broken framing breaks the answer', async (t) => {
  const seen = Promise.withResolvers<void>()
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(`${sse}5\r\nhello\r\n`)
    await seen.promise
    socket.write('zz\r\n')
  })
  const front = await router(t, ref)
  const peer = await client(t, front.url)
  peer.socket.write(post())
  await peer.until('hello')
  seen.resolve()
  await peer.closed
  assert.ok(!peer.text.includes('0\r\n\r\n'))
  assert.deepEqual(front.told, ['protocol'])
})

test('a client that leaves inside the stream closes the worker within 100 ms', async (t) => {
  const { ref, peers } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(`${sse}5\r\nhello\r\n`)
  })
  const front = await router(t, ref)
  const peer = await client(t, front.url)
  peer.socket.write(post())
  await peer.until('hello')
  const leftAt = lived()
  peer.socket.destroy()
  await peers[0]!.closed
  assert.ok(lived() - leftAt < 100)
  assert.deepEqual(front.told, ['leave'])
})

test('a client that leaves before the head closes the worker within 100 ms', async (t) => {
  const { ref, peers } = await worker(t, () => undefined)
  const front = await router(t, ref)
  const peer = await client(t, front.url)
  peer.socket.write(post())
  while (peers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await peers[0]!.until('{"a":1}')
  const leftAt = lived()
  peer.socket.destroy()
  await peers[0]!.closed
  assert.ok(lived() - leftAt < 100)
  assert.deepEqual(front.told, ['aborted'])
})

test('a slow client holds the worker back, and gets every byte in the end', async (t) => {
  const size = 48 * 1024 * 1024
  let written = 0
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    const piece = Buffer.alloc(65_536, 'x')
    while (written < size) {
      written += piece.length
      if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve))
    }
  })
  const front = await router(t, ref)
  const peer = await client(t, front.url)
  peer.socket.removeAllListeners('data')
  peer.socket.pause()
  peer.socket.write(GET)
  let before = -1
  while (before !== written || written === 0) {
    before = written
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  // What the kernel's buffers of two connections and ours hold is far below the whole.
  assert.ok(written < size * 0.7, `${written} of ${size} bytes went into nothing`)
  let received = 0
  peer.socket.on('data', (bytes: Buffer) => (received += bytes.length))
  peer.socket.resume()
  await peer.closed
  assert.ok(received > size)
  assert.deepEqual(front.told, ['end'])
})

for (const [what, pass, expected] of [
  ['lets them pass', () => true, '0003\r\ntwo\r\n0003\r\nsix\r\n'],
  ['wants to see them', () => false, '6\r\ntwosix\r\n'],
] as const)
  test(`whole chunks keep their framing where the watch ${what}, or else they are one`, async (t) => {
    const first = Promise.withResolvers<void>()
    const { ref } = await worker(t, async ({ socket, until }) => {
      await until('\r\n\r\n')
      socket.write(`${sse}3\r\none\r\n`)
      await first.promise
      socket.write('0003\r\ntwo\r\n0003\r\nsix\r\n')
    })
    const peer = await client(t, (await router(t, ref, { pass })).url)
    peer.socket.write(GET)
    await peer.until('one')
    first.resolve()
    await peer.until('six\r\n')
    assert.ok(peer.text.endsWith(`3\r\none\r\n${expected}`), peer.text)
  })

test('chunks behind the end of a response that passed reach nobody, and its connection is not used again', async (t) => {
  const passed = Promise.withResolvers<void>()
  const { ref, peers } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(`${sse}3\r\none\r\n`)
    await passed.promise
    socket.write('3\r\ntwo\r\n')
    await peer.until('two')
    socket.write('0\r\n\r\n')
    await peer.until('0\r\n\r\n')
    socket.write('3\r\nbad\r\n')
  })
  const peer = await client(t, (await router(t, ref, { pass: () => true })).url)
  peer.socket.write(GET.replace('Connection: close\r\n', ''))
  await peer.until('one')
  passed.resolve()
  await peer.until('0\r\n\r\n')
  await peers[0]!.closed
  assert.doesNotMatch(peer.text, /bad/)
})

test('a client that sends its end while chunks pass gets no more of them, and the watch hears that it left', async (t) => {
  const [passes, leaves] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const { ref, peers } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(`${sse}3\r\none\r\n`)
    await passes.promise
    socket.write('3\r\ntwo\r\n')
    await leaves.promise
    socket.on('error', () => undefined) // the router may be faster
    for (let i = 0; i < 20; i++) {
      socket.write('5\r\nthree\r\n')
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  const front = await router(t, ref, { pass: () => true })
  const peer = await client(t, front.url)
  peer.socket.write(GET.replace('Connection: close\r\n', ''))
  await peer.until('one')
  passes.resolve()
  await peer.until('two')
  peer.socket.end()
  leaves.resolve()
  await Promise.all([front.tells('leave'), peer.closed, peers[0]!.closed])
  assert.deepEqual(front.told, ['leave'])
})

test('streams of clients that do not read for a while come whole and in order, whatever passes as it came', async (t) => {
  const count = 1200
  let written = 0
  const { ref } = await worker(t, async ({ socket, until }) => {
    await until('\r\n\r\n')
    socket.write(sse)
    for (let i = 0; i < count; i++) {
      const text = `${i} ${'x'.repeat((7919 * i) % 30_000)};`
      written++
      const hasRoom = socket.write(`${text.length.toString(16)}\r\n${text}\r\n`)
      // Each comes by itself, until nobody takes them.
      await new Promise((resolve) => (hasRoom ? setImmediate(resolve) : socket.once('drain', resolve)))
    }
    socket.write('0\r\n\r\n')
  })
  let asked = 0
  const front = await router(t, ref, { pass: () => asked++ % 3 > 0 })
  const open = async () => {
    const peer = await client(t, front.url)
    peer.socket.removeAllListeners('data')
    peer.socket.pause()
    peer.socket.write(GET)
    return peer
  }
  const peers = [await open(), await open(), await open()]
  for (let before = -1; before !== written || written === 0;) {
    before = written
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.ok(written < 3 * count, 'the workers were not held back')
  const received = peers.map(async ({ socket, closed }) => {
    const parts: Buffer[] = []
    socket.on('data', (bytes: Buffer) => parts.push(bytes))
    socket.resume()
    await closed
    const wire = Buffer.concat(parts)
    const decoder = new ChunkDecoder()
    const numbers = Buffer.from(decoder.decode(wire.subarray(wire.indexOf('\r\n\r\n') + 4)))
      .toString()
      .split(';')
    assert.ok(decoder.done)
    assert.equal(numbers.length, count + 1)
    for (let i = 0; i < count; i++) assert.equal(numbers[i], `${i} ${'x'.repeat((7919 * i) % 30_000)}`)
  })
  await Promise.all(received)
  assert.ok(asked > 100)
})
