// Bodies: a limit each, a budget together, a least rate; forms whose model is anywhere; large ones as a stream.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { readBody, BodyBudget } from '../../src/admission/body.ts'
import { engine, ok, silent } from './_engine.ts'
import { chat, codeOf, eventually, open, router, send } from './_router.ts'

/** A connection that has sent this much of a request, and what came back on it. */
async function raw(
  t: TestContext,
  url: string,
  text: string,
): Promise<{ socket: Socket; got: () => string }> {
  const { port } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  let got = ''
  socket.on('error', () => undefined)
  socket.on('data', (bytes) => (got += bytes.toString('latin1')))
  await once(socket, 'connect')
  t.after(() => socket.destroy())
  socket.write(text)
  return { socket, got: () => got }
}

const post = (headers: string): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n`

describe('a body', () => {
  it('announced too large is refused before it is read', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], maxBody: '1KB' })
    const { got } = await raw(t, made.url, post('Content-Length: 5000\r\n'))
    await eventually(() => got().includes('body_too_large'))
    assert.match(got(), /^HTTP\/1\.1 413 /)
    assert.equal(worker.calls.length, 0)
    await made.rests()
  })

  it('too large in chunks is refused as soon as it is', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], maxBody: '1KB' })
    const { got } = await raw(
      t,
      made.url,
      `${post('Transfer-Encoding: chunked\r\n')}800\r\n${'a'.repeat(2048)}\r\n`,
    )
    await eventually(() => got().includes('body_too_large'))
    assert.match(got(), /^HTTP\/1\.1 413 /)
    await made.rests()
  })

  it('just inside the limit passes, in chunks, too', async (t) => {
    const worker = await engine(t)
    const body = chat()
    const made = await router(t, { workers: [worker.url], maxBody: body.length })
    assert.equal((await send(made.url, { body })).status, 200)
    const size = body.length.toString(16)
    const { got } = await raw(
      t,
      made.url,
      `${post('Transfer-Encoding: chunked\r\n')}${size}\r\n${body}\r\n0\r\n\r\n`,
    )
    await eventually(() => got().includes('200'))
    assert.equal(worker.calls[1]?.text, body)
    assert.equal((await send(made.url, { body: `${body} ` })).status, 413)
  })

  it('that does not fit the budget now is refused with 429, and fits once the others have gone', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [worker.url], maxBuffered: '1000' })
    const holder = open(made.url, { body: chat({ pad: 'x'.repeat(700) }) })
    await worker.call()
    const got = await send(made.url, { body: chat({ pad: 'y'.repeat(300) }) })
    assert.equal(got.status, 429)
    assert.equal(codeOf(got), 'buffers_full')
    assert.ok(Number(got.headers['retry-after']) >= 1)
    assert.equal(worker.calls.length, 1)
    holder.leave()
    await made.rests()
    worker.behave = ok
    assert.equal((await send(made.url, { body: chat({ pad: 'y'.repeat(300) }) })).status, 200)
  })

  it('is counted by its Content-Length before it is read', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], maxBuffered: '1000' })
    const { socket } = await raw(t, made.url, post('Content-Length: 900\r\n'))
    await eventually(async () => (await made.status()).buffered_bytes === 900)
    assert.equal((await send(made.url, { body: chat({ pad: 'y'.repeat(200) }) })).status, 429)
    socket.destroy()
    await made.rests()
  })

  it('larger than the whole budget is refused with 413', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], maxBuffered: '100' })
    assert.equal((await send(made.url, { body: chat({ pad: 'x'.repeat(200) }) })).status, 413)
    await made.rests()
  })

  it('leaves the budget when the first byte of its answer came, not at the end of the stream', async (t) => {
    const worker = await engine(t, (call) => void call.begin().write(': hello\n\n'))
    const made = await router(t, { workers: [worker.url] })
    const client = await open(made.url, { body: chat({ stream: true }) }).begins()
    assert.equal((await made.status()).buffered_bytes, 0)
    client.leave()
    await made.rests()
  })

  it('that comes slower than the least rate is cut with 408', async () => {
    let ring = () => {}
    const timer = (_: number, run: () => void) => ((ring = run), () => {})
    const body = new ReadableStream<Uint8Array>({
      pull: (c) => (c.enqueue(new Uint8Array(10)), new Promise(() => {})),
    })
    const request = new Request('http://x/', { method: 'POST', body, duplex: 'half' } as RequestInit)
    const budget = new BodyBudget(1e6)
    const read = readBody(request, budget, { maxBody: 0, minUploadRate: 1000 }, { timer })
    await new Promise((resolve) => setTimeout(resolve, 5))
    ring()
    await assert.rejects(read, { status: 408, code: 'upload_too_slow' })
    assert.equal(budget.used, 0)
  })

  it('that breaks off reaches no worker and leaves nothing behind', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url] })
    const { socket } = await raw(t, made.url, `${post('Content-Length: 500\r\n')}{"model":`)
    await eventually(async () => (await made.status()).live === 1)
    socket.destroy()
    await made.rests()
    assert.equal(worker.calls.length, 0)
  })

  it('that waits for 100 Continue is asked for, or refused without being sent', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], maxBody: '1KB' })
    const body = chat()
    const good = await raw(t, made.url, post(`Expect: 100-continue\r\nContent-Length: ${body.length}\r\n`))
    await eventually(() => good.got().startsWith('HTTP/1.1 100'))
    good.socket.write(body)
    await eventually(() => good.got().includes('HTTP/1.1 200'))
    const bad = await raw(t, made.url, post('Expect: 100-continue\r\nContent-Length: 9999\r\n'))
    await eventually(() => bad.got().length > 0)
    assert.match(bad.got(), /^HTTP\/1\.1 413/)
  })
})

describe('a head', () => {
  it('too large is refused with 431', async (t) => {
    const made = await router(t, { maxHeader: '2KiB' })
    const got = await send(made.url, { headers: { 'x-big': 'a'.repeat(4000) } })
    assert.equal(got.status, 431)
    assert.equal(codeOf(got), 'header_too_large')
    assert.equal(
      (await send(made.url, { path: '/livez', method: 'GET', headers: { 'x-big': 'a'.repeat(1000) } }))
        .status,
      200,
    )
  })

  it('with two framings, or a broken one, is refused', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url] })
    for (const headers of [
      'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
      'Content-Length: 5\r\nContent-Length: 6\r\n',
      'Content-Length: -1\r\n',
      'Bad Name: x\r\n',
    ]) {
      const { got } = await raw(t, made.url, `${post(headers)}hello`)
      await eventually(() => got().length > 0)
      assert.match(got(), /^HTTP\/1\.1 400/, headers)
    }
    assert.equal(worker.calls.length, 0)
  })
})

const BOUNDARY = 'XxBoundaryxX'
const type = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
const part = (name: string, value: string | Buffer, extra = ''): Buffer =>
  Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${extra}\r\n\r\n`),
    Buffer.from(value),
    Buffer.from('\r\n'),
  ])
const form = (...parts: Buffer[]): Buffer => Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)])

describe('a form', () => {
  const path = '/v1/audio/transcriptions'
  const sound = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 256))

  it('goes to the worker of its model though the model comes last, byte by byte', async (t) => {
    const other = await engine(t, ok, { models: ['other'] })
    const whisper = await engine(t, ok, { models: ['whisper'] })
    const made = await router(t, { workers: [other.url, whisper.url] })
    const body = form(part('file', sound, '; filename="a.wav"'), part('model', 'whisper'))
    for (let i = 0; i < 4; i++)
      assert.equal((await send(made.url, { path, body, headers: type })).status, 200)
    assert.equal(whisper.calls.length, 4)
    assert.deepEqual(whisper.calls[0]?.body, body)
    assert.equal(whisper.calls[0]?.header('content-type'), type['content-type'])
  })

  it('has its alias replaced and nothing else', async (t) => {
    const worker = await engine(t, ok, { models: ['whisper'] })
    const made = await router(t, { workers: [worker.url], aliases: { 'whisper-1': 'whisper' } })
    const parts = (model: string) =>
      form(part('file', sound, '; filename="a.wav"'), part('model', model), part('x', 'whisper-1'))
    await send(made.url, { path, body: parts('whisper-1'), headers: type })
    assert.deepEqual(worker.calls[0]?.body, parts('whisper'))
  })

  it('of an unknown model is refused', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, { workers: [worker.url] })
    const got = await send(made.url, { path, body: form(part('model', 'nope')), headers: type })
    assert.equal(got.status, 404)
    await made.rests()
  })

  it('above 25 MB whose model comes last is held until it is known', async (t) => {
    const other = await engine(t, ok, { models: ['other'] })
    const whisper = await engine(t, ok, { models: ['whisper'] })
    const made = await router(t, { workers: [other.url, whisper.url], policy: 'round_robin' })
    const body = form(
      part('file', Buffer.alloc(25_100_000, 7), '; filename="a.wav"'),
      part('model', 'whisper'),
    )
    assert.equal((await send(made.url, { path, body, headers: type })).status, 200)
    assert.ok(whisper.calls[0]?.body.equals(body))
    assert.equal((await send(made.url, { path, body, headers: type })).status, 200)
    assert.equal(other.calls.length, 0)
    await made.rests()
  })

  it('above 25 MB passes as a stream that is not held', async (t) => {
    const whisper = await engine(t, ok, { models: ['whisper'] })
    const other = await engine(t, ok, { models: ['other'] })
    const made = await router(t, { workers: [other.url, whisper.url], maxBuffered: '10MB' })
    const body = form(
      part('model', 'whisper'),
      part('file', Buffer.alloc(26_000_000, 7), '; filename="a.wav"'),
    )
    const got = await send(made.url, { path, body, headers: type })
    assert.equal(got.status, 200)
    assert.equal(whisper.calls.length, 1)
    assert.ok(whisper.calls[0]?.body.equals(body))
    await made.rests()
  })
})
