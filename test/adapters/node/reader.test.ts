// Bytes that are read past node:stream are those that were sent, and all else about their socket is as ever.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { arrivals, readPast, type Taker } from '../../../adapters/node/reader.ts'

const run = promisify(execFile)

/** Two ends of one connection, the near one accepted or connected; it is read past its stream. */
async function ends(t: TestContext, isAccepted: boolean, take: Taker['arrive']) {
  const server: Server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  if (client.connecting) await once(client, 'connect')
  t.after(() => {
    for (const socket of [client, accepted]) socket.destroy()
    server.close()
  })
  const [near, far] = isAccepted ? [accepted, client] : [client, accepted]
  far.on('error', () => undefined)
  const giveBack = readPast(near, { arrive: take })
  assert.ok(giveBack)
  return { near, far, giveBack }
}

/** Turns of the event loop until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

for (const isAccepted of [true, false]) {
  test(`what is sent arrives in order on ${isAccepted ? 'an accepted' : 'a connected'} socket, then its end`, async (t) => {
    let text = ''
    const take: Taker['arrive'] = (bytes, size) => {
      assert.equal(bytes, arrivals)
      text += bytes.toString('latin1', 0, size)
      return undefined
    }
    const { near, far } = await ends(t, isAccepted, take)
    near.on('data', () => assert.fail('through the stream'))
    const sent = Array.from({ length: 40_000 }, (_, i) => `${i}`).join()
    far.end(sent)
    await once(near, 'end')
    assert.equal(text, sent)
    assert.equal(near.bytesRead, sent.length)
    near.destroy()
    await once(near, 'close')
  })
}

test('a socket that is paused while it is read reads nothing more until it is resumed', async (t) => {
  let got = 0
  const { near, far } = await ends(t, true, (_bytes, size) => {
    got += size
    near.pause()
    return undefined
  })
  far.write(Buffer.alloc(8_000_000))
  await until(() => got > 0)
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(got <= arrivals.byteLength)
  assert.equal(near.isPaused(), true)
  while (got < 8_000_000) {
    const before = got
    near.resume()
    await until(() => got > before)
  }
})

test('a socket that is destroyed while it is read says nothing more', async (t) => {
  let reads = 0
  const { near, far } = await ends(t, true, () => {
    reads++
    near.destroy()
    return undefined
  })
  far.write(Buffer.alloc(1_000_000))
  await once(near, 'close')
  assert.equal(reads, 1)
})

test('a connection that breaks is told by the socket', async (t) => {
  const { near, far } = await ends(t, true, () => undefined)
  const failed = once(near, 'error')
  far.resetAndDestroy()
  assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
})

test('bytes are read straight to where the taker wants the next ones', async (t) => {
  const whole = Buffer.alloc(300_000)
  let at = 0
  const { far } = await ends(t, true, (bytes, size) => {
    // The first read is in the shared buffer.
    if (at === 0) whole.set(bytes.subarray(0, size), 0)
    at += size
    return at < whole.length ? whole.subarray(at) : arrivals
  })
  const sent = Buffer.from(Array.from({ length: whole.length }, (_, i) => i % 251))
  far.write(sent)
  await until(() => at === whole.length)
  assert.ok(whole.equals(sent))
  // What comes behind does not touch it.
  far.write('x')
  await until(() => at > whole.length)
  assert.ok(whole.equals(sent))
})

test('a socket that is given back within a read has what comes next as its data', async (t) => {
  let early = ''
  const { near, far, giveBack } = await ends(t, true, (bytes, size) => {
    early += bytes.toString('latin1', 0, size)
    giveBack()
    return undefined
  })
  let late = ''
  far.write('early')
  await until(() => early !== '')
  near.on('data', (bytes: Buffer) => (late += bytes.toString('latin1')))
  const sent = 'late'.repeat(100_000)
  far.end(sent)
  await once(near, 'end')
  assert.deepEqual([early, late], ['early', sent])
})

test('a socket that was read already, or is none of the system’s, is left alone', async (t) => {
  const { near, far } = await ends(t, true, () => undefined)
  assert.equal(readPast(near, { arrive: () => undefined }), null)
  assert.equal(readPast(new Duplex() as Socket, { arrive: () => undefined }), null)
  far.pause()
  near.write('x')
  await until(() => far.readableLength > 0)
  assert.equal(readPast(far, { arrive: () => undefined }), null)
  assert.equal(String(far.read()), 'x')
})

test('a taker that throws is heard of, its socket is read no more, and nothing is warned of', async () => {
  const program = `
    import { connect, createServer } from 'node:net'
    import { readPast } from ${JSON.stringify(new URL('../../../adapters/node/reader.ts', import.meta.url).href)}
    const server = createServer((socket) => {
      readPast(socket, { arrive() { throw new Error('heard ' + socket.destroyed) } })
      socket.once('close', () => process.exit())
    })
    process.on('uncaughtException', ({ message }) => process.stdout.write(message))
    server.listen(0, '127.0.0.1', () => connect(server.address().port, '127.0.0.1').write('x'))`
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', program])
  assert.deepEqual([stdout, stderr], ['heard false', ''])
})
