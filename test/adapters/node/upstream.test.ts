import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { bodies } from '../../../adapters/node/body-memory.ts'
import { createFetch } from '../../../adapters/node/fetch.ts'
import { NodeUpstream } from '../../../adapters/node/upstream.ts'
import { UpstreamFailure } from '../../../src/host.ts'
import type { FailureKind, Outgoing } from '../../../src/host.ts'
import { freePort } from '../../journeys/_sockets.ts'
import { worker } from './rig.ts'

function fetcher(t: TestContext, rested?: number) {
  const fetch = createFetch(rested)
  t.after(() => fetch.close())
  return fetch
}

function outgoing(changes: Partial<Outgoing> = {}): Outgoing {
  const signal = new AbortController().signal
  return {
    method: 'POST',
    path: '/v1',
    headers: [],
    body: [Buffer.from('body')],
    connectTimeout: 10_000,
    signal,
    ...changes,
  }
}

const failure = (kind: FailureKind) => (error: unknown) => {
  assert.ok(error instanceof UpstreamFailure)
  assert.equal(error.kind, kind, error.message)
  return true
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

test('a connection serves one request after the other', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    for (let i = 1; ; i++) {
      await peer.until(`body${i}`)
      peer.socket.write(HELLO)
    }
  })
  const fetch = fetcher(t)
  for (const part of ['body1', 'body2', 'body3']) {
    const answer = await fetch(ref, outgoing({ body: [Buffer.from(part)] }))
    assert.equal(text(await answer.bytes(100)), 'hello')
  }
  assert.equal(peers.length, 1)
})

test('a kept connection that the worker closed in the meantime is replaced once, unseen', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    await peer.until('body')
    peer.socket.write(HELLO)
    // The next request on this connection meets a close in place of an answer.
    await peer.until('again')
    peer.socket.destroy()
  })
  const fetch = fetcher(t, 0)
  await (await fetch(ref, outgoing())).bytes(100)
  const reused = fetch(ref, outgoing({ body: [Buffer.from('again')] }))
  while (peers.length < 2) await new Promise((done) => setImmediate(done))
  peers[1]!.socket.write(HELLO)
  assert.equal(text(await (await reused).bytes(100)), 'hello')
})

for (const [what, changes] of [
  ['had hardly rested', {}],
  ['carried what makes state', { isOnce: true }],
] as const) {
  test(`a kept connection that ${what} is not replaced when it breaks`, async (t) => {
    const { ref, peers } = await worker(t, async (peer) => {
      await peer.until('body')
      peer.socket.write(HELLO)
      await peer.until('again')
      peer.socket.destroy()
    })
    const fetch = fetcher(t, 'isOnce' in changes ? 0 : undefined)
    await (await fetch(ref, outgoing())).bytes(100)
    if ('isOnce' in changes) {
      // It goes over a connection of its own, where a break is told.
      const sent = fetch(ref, outgoing({ ...changes, body: [Buffer.from('body, once')] }))
      assert.equal(text(await (await sent).bytes(100)), 'hello')
      assert.equal(peers.length, 2)
      return
    }
    await assert.rejects(fetch(ref, outgoing({ body: [Buffer.from('again')] })), failure('reset'))
    assert.equal(peers.length, 1)
  })
}

test('a fresh connection that breaks is no accident of reuse: the request is not sent twice', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    await peer.until('body')
    peer.socket.destroy()
  })
  await assert.rejects(fetcher(t)(ref, outgoing()), failure('reset'))
  assert.equal(peers.length, 1)
})

for (const [what, answer] of [
  ['says so', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello'],
  ['sends more than its length', `${HELLO}extra`],
  [
    'frames twice',
    'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  ],
] as const) {
  test(`a worker that ${what} gets a new connection for the next request`, async (t) => {
    const { ref, peers } = await worker(t, async (peer) => {
      await peer.until('body')
      peer.socket.write(answer)
    })
    const fetch = fetcher(t)
    for (let i = 0; i < 2; i++) assert.equal(text(await (await fetch(ref, outgoing())).bytes(100)), 'hello')
    assert.equal(peers.length, 2)
  })
}

for (const [what, answer] of [
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['a head of lines that end by LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ['a broken header', 'HTTP/1.1 200 OK\r\nno colon\r\n\r\n'],
  ['a space before a colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
  ['a coding nobody asked for', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
] as const) {
  test(`${what} is a protocol failure`, async (t) => {
    const { ref } = await worker(t, async (peer) => {
      await peer.until('body')
      peer.socket.write(answer)
    })
    await assert.rejects(fetcher(t)(ref, outgoing()), failure('protocol'))
  })
}

test('nobody listening, no such name and a senseless URL are connect failures', async (t) => {
  for (const url of [
    `http://127.0.0.1:${await freePort()}`,
    'http://name.invalid',
    'unix:/nowhere/at.all',
    'ftp://x',
    'nonsense',
  ]) {
    await assert.rejects(fetcher(t)({ id: 'w', url, engine: 'vllm' }, outgoing()), failure('connect'))
  }
})

test('a handshake that never ends is a connect timeout', async (t) => {
  const { ref } = await worker(t, () => undefined)
  const url = ref.url.replace('http:', 'https:')
  await assert.rejects(
    fetcher(t)({ ...ref, url }, outgoing({ connectTimeout: 50 })),
    failure('connect_timeout'),
  )
})

test('an aborted signal closes the connection at once, and its reason is told when it is a failure', async (t) => {
  const { ref, peers } = await worker(t, () => undefined)
  const controller = new AbortController()
  const pending = fetcher(t)(ref, outgoing({ signal: controller.signal }))
  const rejected = assert.rejects(pending, failure('first_token_timeout'))
  while (peers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await peers[0]!.until('body')
  controller.abort(new UpstreamFailure('first_token_timeout', 'late'))
  await Promise.all([rejected, peers[0]!.closed])
})

test('first gives the first bytes once and again, null for an empty body, and the failure when it dies before', async (t) => {
  const { ref } = await worker(t, async (peer) => {
    const request = await peer.until('body')
    if (request.includes('/full')) peer.socket.write(HELLO)
    else if (request.includes('/empty')) peer.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    else peer.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')
  })
  const fetch = fetcher(t)
  const full = await fetch(ref, outgoing({ path: '/full' }))
  assert.equal(text((await full.first())!), 'hello')
  assert.equal(text((await full.first())!), 'hello')
  assert.equal(text(await full.bytes(100)), 'hello')
  const other = fetcher(t)
  assert.equal(await (await other(ref, outgoing({ path: '/empty' }))).first(), null)
  const dying = await fetcher(t)(ref, outgoing({ path: '/dies' }))
  await assert.rejects(dying.first(), failure('reset'))
})

test('bytes stops at its limit and closes the connection', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    await peer.until('body')
    peer.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello world')
  })
  const answer = await fetcher(t)(ref, outgoing())
  assert.equal(text(await answer.bytes(5)), 'hello')
  await peers[0]!.closed
})

test('a body of many large slices arrives whole under one length', async (t) => {
  const { ref } = await worker(t, async (peer) => {
    await peer.until('END')
    const received = peer.text.length - peer.text.indexOf('\r\n\r\n') - 4
    peer.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n${received}`)
  })
  const slices = [
    Buffer.alloc(150_000, 'a'),
    new Uint8Array(0),
    Buffer.alloc(149_997, 'b'),
    Buffer.from('END'),
  ]
  const answer = await fetcher(t)(ref, outgoing({ body: slices }))
  assert.equal(text(await answer.bytes(100)), '300000')
})

test('a long body that goes to several workers goes to each behind its own head', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    // Nobody reads until both are sent, so that neither write ends at once.
    peer.socket.pause()
    while (peers.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    peer.socket.resume()
    await peer.until('END')
    peer.socket.write(HELLO)
  })
  const body = bodies.room(1_000_000).fill(0x61)
  body.set(Buffer.from('END'), body.byteLength - 3)
  const fetch = fetcher(t)
  const answers = ['one', 'twice-as-long'].map((value) =>
    fetch(ref, outgoing({ headers: ['x-to', value], body: [body] })),
  )
  for (const answer of answers) assert.equal(text(await (await answer).bytes(100)), 'hello')
  const sent = peers.map((peer) => peer.text).toSorted((a, b) => a.length - b.length)
  const wanted = (value: string) =>
    `content-length: 1000000\r\nx-to: ${value}\r\n\r\n${'a'.repeat(999_997)}END`
  for (const [i, value] of ['one', 'twice-as-long'].entries())
    assert.ok(sent[i]!.endsWith(wanted(value)) && sent[i]!.startsWith('POST /v1 HTTP/1.1\r\nhost: '))
})

test('a stream is sent in chunks', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    await peer.until('0\r\n\r\n')
    peer.socket.write(HELLO)
  })
  const body = new Blob(['abc']).stream()
  await (await fetcher(t)(ref, outgoing({ body }))).bytes(100)
  assert.match(peers[0]!.text, /transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/)
})

test('a header that would break out of its line is never sent', async (t) => {
  const { ref, peers } = await worker(t, () => undefined)
  const headers = ['x-key', 'a\r\nx-evil: 1']
  await assert.rejects(fetcher(t)(ref, outgoing({ headers })), failure('protocol'))
  await assert.rejects(fetcher(t)(ref, outgoing({ path: '/ HTTP/1.1\r\n\r\n' })), failure('protocol'))
  assert.equal(peers.length, 0)
})

test('a worker on a unix socket is reached', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'worker-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const script = async (peer: {
    until(part: string): Promise<string>
    socket: { write(text: string): boolean }
  }) => {
    await peer.until('body')
    peer.socket.write(HELLO)
  }
  const { ref } = await worker(t, script, join(folder, 'w.sock'))
  assert.equal(text(await (await fetcher(t)(ref, outgoing())).bytes(100)), 'hello')
})

test('a worker that sends just as much as is read, and holds the rest back, is not waited for', async (t) => {
  const { ref, peers } = await worker(t, async (peer) => {
    await peer.until('body')
    peer.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello')
  })
  const answer = await fetcher(t)(ref, outgoing())
  assert.equal(text(await answer.bytes(5)), 'hello')
  await peers[0]!.closed
})

test('what a carrier gives the moment it may go on comes behind what was kept', async () => {
  const late = [3, 4].map((byte) => new Uint8Array(1).fill(byte))
  let isPaused = false
  const carrier = {
    heard: true,
    pause: () => void (isPaused = true),
    resume() {
      isPaused = false
      for (const bytes of late.splice(0)) upstream.data(bytes, false)
    },
    destroy: () => undefined,
  }
  const upstream = new NodeUpstream(carrier, new AbortController().signal)
  const early = [1, 2].map((byte) => new Uint8Array(1_000_000).fill(byte))
  for (const bytes of early) upstream.data(bytes, false)
  assert.ok(isPaused)
  const seen: number[] = []
  upstream.pipe({
    data(bytes) {
      seen.push(bytes[0] as number)
      if (seen.length > 1) return
      // A client whose socket is full for a moment.
      upstream.pause()
      upstream.resume()
    },
    end: () => undefined,
    fail: () => undefined,
  })
  assert.deepEqual(seen, [1, 2, 3, 4])
  assert.equal(isPaused, false)
})

test('a connection that breaks in the moment of sending is told once, to who waits', async () => {
  const carrier = { heard: false, pause() {}, resume() {}, destroy() {} }
  const exchange = new NodeUpstream(carrier, new AbortController().signal)
  const send = () => {
    throw new UpstreamFailure('reset', 'broke while it was written to')
  }
  const sent = exchange.send(outgoing(), { send })
  // As its socket does next. Had nobody been told before, this would end the process.
  exchange.fail(new UpstreamFailure('reset', 'closed'))
  await assert.rejects(sent, /broke while it was written to/)
})

test('who is told without a promise is told of the head with all that came with it', async (t) => {
  const { ref } = await worker(t, async (peer) => {
    await peer.until('body')
    peer.socket.write(HELLO)
  })
  const fetch = fetcher(t)
  const whole = await new Promise<string>((resolve, reject) => {
    const came = (upstream: NodeUpstream) => {
      const parts: string[] = []
      const data = (bytes: Uint8Array, isLast: boolean) => void parts.push(`${text(bytes)} ${isLast}`)
      upstream.pipe({ data, end: () => parts.push('end'), fail: reject })
      // Nothing of it comes later.
      resolve(parts.join(', '))
    }
    fetch.send(ref, outgoing(), { came, failed: reject })
  })
  assert.equal(whole, 'hello true, end')
})

test('an answer that breaks in the piece that brought its head is one whose body breaks', async (t) => {
  const { ref } = await worker(t, async (peer) => {
    await peer.until('body')
    peer.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n')
  })
  const answer = await fetcher(t)(ref, outgoing())
  assert.equal(answer.status, 200)
  await assert.rejects(answer.bytes(100), failure('protocol'))
})
