// Bytes that are taken where a socket pushes them are those that were sent, and it can be held back and given back.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { readPushed } from '../../../adapters/node/pushed.ts'
import type { Taker } from '../../../adapters/node/reader.ts'
import { binary } from '../../journeys/_foreign.ts'

const run = promisify(execFile)

const MEMORY = Buffer.alloc(1000)

/** Two ends of one connection; what comes to the near one is taken. */
async function ends(t: TestContext, take: (near: Socket, text: string) => void) {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const far = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [near] = (await once(server, 'connection')) as [Socket]
  t.after(() => {
    for (const socket of [near, far]) socket.destroy()
    server.close()
  })
  const arrive: Taker['arrive'] = (bytes, size) => {
    assert.equal(bytes, MEMORY)
    take(near, bytes.toString('latin1', 0, size))
    return undefined
  }
  const giveBack = readPushed(near, { arrive }, MEMORY)
  return { near, far, giveBack }
}

test('what is sent arrives in order, in pieces of the memory, then its end', async (t) => {
  let text = ''
  const { near, far } = await ends(t, (_near, part) => (text += part))
  near.on('data', () => assert.fail('through the stream'))
  const sent = Array.from({ length: 40_000 }, (_, i) => `${i}`).join()
  far.end(sent)
  await once(near, 'end')
  assert.equal(text, sent)
})

test('on Bun a socket that is paused while it is read reads on once it is resumed', async () => {
  const program = `
    import { connect, createServer } from 'node:net'
    import { readPushed } from ${JSON.stringify(new URL('../../../adapters/node/pushed.ts', import.meta.url).href)}
    const sent = 'paused'.repeat(500_000)
    let got = 0
    let pauses = 0
    const server = createServer((far) => far.end(sent)).listen(0, '127.0.0.1', () => {
      const near = connect(server.address().port, '127.0.0.1', () => {
        readPushed(near, { arrive(bytes, size) {
          got += size
          if (near.isPaused()) return
          pauses++
          near.pause()
          setTimeout(() => near.resume(), 1)
        } }, Buffer.alloc(65_536))
        near.on('data', () => process.exit(1))
        near.on('end', () => console.log(got === sent.length, pauses > 3) ?? process.exit())
      })
    })`
  const { stdout } = await run(binary('bun'), ['-e', program])
  assert.equal(stdout, 'true true\n')
})

test('a socket that is destroyed while it is read gives nothing more', async (t) => {
  let pieces = 0
  const { near, far } = await ends(t, (own) => {
    pieces++
    own.destroy()
  })
  near.on('data', () => assert.fail('through the stream'))
  far.on('error', () => undefined)
  far.end('x'.repeat(50_000))
  await once(near, 'close')
  assert.equal(pieces, 1)
})

test('a socket that was given back is a stream again', async (t) => {
  let early = ''
  const { near, far, giveBack } = await ends(t, (_near, part) => {
    early += part
    giveBack()
    near.once('data', (bytes) => far.destroy(new Error(String(bytes))))
    far.write('late')
  })
  near.resume()
  near.on('error', () => undefined)
  far.write('early')
  const [error] = (await once(far, 'error')) as [Error]
  assert.deepEqual([early, error.message], ['early', 'late'])
})
