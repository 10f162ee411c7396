// Bytes that pass node:stream arrive as all others do: whole, in order, and held back while nobody reads.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { SocketWriter } from '../../../adapters/node/writer.ts'

const run = promisify(execFile)

/** Two ends of one connection; the first write of a process is node:net's own, so that one is made here. */
async function ends(t: TestContext): Promise<{ near: Socket; far: Socket; writer: SocketWriter }> {
  const server: Server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  if (near.connecting) await once(near, 'connect')
  t.after(() => [near, far, server].forEach((one) => ('destroy' in one ? one.destroy() : one.close())))
  const writer = new SocketWriter(near)
  writer.text('')
  return { near, far, writer }
}

async function allOf(socket: Socket): Promise<string> {
  let text = ''
  for await (const bytes of socket as AsyncIterable<Buffer>) text += bytes.toString('latin1')
  return text
}

/** A program that writes twice, and tells whether the second time was past the stream. */
const firstWrite = (first: string) => `
  import { connect, createServer } from 'node:net'
  import { SocketWriter } from ${JSON.stringify(new URL('../../../adapters/node/writer.ts', import.meta.url).href)}
  const server = createServer(async (far) => {
    let text = ''
    for await (const bytes of far) text += bytes
    process.stdout.write(text)
    server.close()
  })
  server.listen(0, '127.0.0.1', () => {
    const near = connect(server.address().port, '127.0.0.1', () => {
      const writer = new SocketWriter(near)
      ${first}
      const write = near.write
      near.write = (...args) => { throw new Error('through the stream') }
      writer.bytes(Buffer.from('b'))
      near.write = write
      process.stdout.write('written past the stream: ')
      near.end()
    })
  })`

/** Writes until the kernel takes no more. */
function fill(writer: SocketWriter): string {
  let sent = ''
  for (let i = 0; ; i++) {
    const piece = `${i}`.padEnd(8000, '.')
    sent += piece
    if (!(i % 2 === 0 ? writer.text(piece) : writer.bytes(Buffer.from(piece)))) return sent
  }
}

test('the first write of a process shows how, be it text or bytes', async () => {
  for (const first of ['writer.text("a")', 'writer.bytes(Buffer.from("a"))']) {
    const { stdout } = await run(process.execPath, [
      '--input-type=module-typescript',
      '-e',
      firstWrite(first),
    ])
    assert.equal(stdout, 'written past the stream: ab', first)
  }
})

test('small writes are with the kernel at once, past the stream', async (t) => {
  const { near, far, writer } = await ends(t)
  const { mock } = t.mock.method(near, 'write')
  assert.equal(writer.text('caf\xe9 '), true)
  assert.equal(writer.bytes(Buffer.from('au lait')), true)
  assert.equal(writer.isEmpty, true)
  assert.equal(mock.callCount(), 0)
  near.end()
  assert.equal(await allOf(far), 'caf\xe9 au lait')
})

test('a reader that is slow gets all bytes in order, whichever way they were written', async (t) => {
  const { near, far, writer } = await ends(t)
  let sent = fill(writer)
  assert.equal(writer.isEmpty, false)
  const later = ['text', 'bytes', 'x'.repeat(20_000)]
  writer.text(later[0]!)
  writer.bytes(Buffer.from(later[1]!))
  near.write(later[2]!)
  sent += later.join('')
  const reading = allOf(far)
  await once(near, 'drain')
  near.end()
  assert.equal(await reading, sent)
})

test('pieces that pass one after the other, and other bytes between them, come whole and in order', async (t) => {
  const { near, far, writer } = await ends(t)
  let sent = ''
  for (let i = 0, isFull = false; i < 50 || !isFull; i++) {
    const piece = `${i}`.padEnd(i < 50 ? 10 : 16_000, '.')
    sent += piece
    isFull = !(i % 5 === 4 ? writer.text(piece) : writer.pass(Buffer.from(piece)))
    assert.equal(writer.isDirect, !isFull)
  }
  writer.pass(Buffer.from('last'))
  near.end()
  assert.equal(await allOf(far), `${sent}last`)
})

test('what passes behind the end of its socket goes nowhere, and nobody fails', async (t) => {
  for (const end of ['end', 'destroy'] as const) {
    const { near, far, writer } = await ends(t)
    near.on('error', () => assert.fail('an error'))
    writer.pass(Buffer.from('one'))
    writer.pass(Buffer.from(' two'))
    writer.look()
    near[end]()
    const closed = end === 'destroy' ? once(near, 'close') : null
    assert.equal(writer.pass(Buffer.from(' three')), true)
    await closed
    assert.equal(writer.pass(Buffer.from(' four')), true)
    assert.equal(await allOf(far), 'one two')
  }
})

test('a socket that is destroyed between two pieces takes no more of them, without a word', async (t) => {
  const { near, far, writer } = await ends(t)
  near.on('error', () => assert.fail('an error'))
  writer.pass(Buffer.from('one'))
  near.destroy()
  assert.equal(writer.pass(Buffer.from('two')), true)
  await once(near, 'close')
  assert.equal(writer.pass(Buffer.from('three')), true)
  assert.equal(await allOf(far), 'one')
})

test('a reader that has gone is noticed by the piece that passes', async (t) => {
  const { near, far, writer } = await ends(t)
  const failed = once(near, 'error')
  writer.pass(Buffer.from('one'))
  far.resetAndDestroy()
  const timer = setInterval(() => writer.pass(Buffer.from('anybody?')), 1)
  t.after(() => clearInterval(timer))
  const [error] = (await failed) as [NodeJS.ErrnoException]
  assert.match(String(error.code), /^(EPIPE|ECONNRESET)$/)
})

test('a full socket tells when there is room again', async (t) => {
  const { near, far, writer } = await ends(t)
  fill(writer)
  const drained = once(near, 'drain')
  far.resume()
  await drained
  assert.equal(writer.isEmpty, true)
  assert.equal(writer.text('more'), true)
})

test('a reader that has gone destroys the socket, and the error says so', async (t) => {
  const { near, far, writer } = await ends(t)
  const failed = once(near, 'error')
  far.resetAndDestroy()
  const timer = setInterval(() => writer.text('anybody?'), 1)
  t.after(() => clearInterval(timer))
  const [error] = (await failed) as [NodeJS.ErrnoException]
  assert.match(String(error.code), /^(EPIPE|ECONNRESET)$/)
  assert.equal(near.destroyed, true)
})

test('a socket that ends while it is full still sends everything', async (t) => {
  const { near, far, writer } = await ends(t)
  const sent = fill(writer)
  near.destroySoon()
  assert.equal(await allOf(far), sent)
})
