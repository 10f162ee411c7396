// Clients that stand still: they hold no memory, and no worker is blamed for them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client } from '../adapters/node/rig.ts'
import { delta, engine, type EngineCall } from './_engine.ts'
import { CHAT, eventually, router, STREAM } from './_router.ts'

/** Streams for as long as somebody takes it. */
function flood(call: EngineCall): void {
  call.begin()
  const piece = delta('x'.repeat(60_000))
  const go = () => {
    while (call.socket.writable && call.socket.writableLength < 200_000) call.write(piece)
  }
  call.socket.on('drain', go)
  go()
}

test('a client that stops to read is cut after the idle timeout, and its worker is not blamed', async (t) => {
  const worker = await engine(t, flood)
  const config = { workers: [{ url: worker.url }], idleTimeout: '800ms', breakerFailures: 1 }
  const { url, workers, app } = await router(t, config)
  const peer = await client(t, url)
  peer.socket.pause()
  peer.socket.write(`POST ${CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: ${STREAM.length}\r\n\r\n${STREAM}`)
  const call = await worker.call()
  await eventually(() => call.closedAt !== null)
  await eventually(() => app.inFlight() === 0)
  const [seen] = await workers()
  assert.equal(seen?.breaker, 'closed')
})

test('a client whose upload stalls is told so, and its worker is not blamed', async (t) => {
  const worker = await engine(t)
  const config = { workers: [{ url: worker.url }], firstTokenTimeout: '200ms', breakerFailures: 1 }
  const { url, workers, app } = await router(t, config)
  const peer = await client(t, url)
  const head = [
    'POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n',
    'Content-Type: multipart/form-data; boundary=b\r\n\r\n',
    '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b\r\n',
  ]
  peer.socket.write(head.join(''))
  assert.match(await peer.until('\r\n\r\n'), /^HTTP\/1\.1 408 /)
  await eventually(() => app.inFlight() === 0)
  const [seen] = await workers()
  assert.equal(seen?.breaker, 'closed')
})
