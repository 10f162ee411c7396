import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTables } from '../../adapters/node/tables.ts'
import { createWebHost } from '../../adapters/web/host.ts'
import { localActors, memoryStorage } from '../../src/actors/local.ts'
import { createApp } from '../../src/app.ts'
import { configSchema } from '../../src/config/schema.ts'
import { createClock, settle } from '../_clock.ts'

const HEAD = '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'

/** A router whose time is moved, and an upload whose bytes come when the test sends them. */
async function uploading() {
  const config = configSchema.parse({
    batches: true,
    batchStore: 'memory',
    workers: [],
    healthInterval: 'off',
  })
  const clock = createClock()
  const tables = await openTables(config)
  const plain = createWebHost(config, { log: () => undefined })
  const seams = { ...plain, now: clock.now, timer: clock.timer, tables: async () => tables }
  const app = createApp(config, { ...seams, ...localActors(config, seams, () => memoryStorage()) })
  await app.start()
  let body: ReadableStreamDefaultController<Uint8Array> | null = null
  let wasCancelled = false
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => void (body = controller),
    cancel: () => void (wasCancelled = true),
  })
  const send = (text: string) => body?.enqueue(new TextEncoder().encode(text))
  const headers = { 'content-type': 'multipart/form-data; boundary=b' }
  const init = { method: 'POST', headers, body: stream, duplex: 'half' }
  const answer = app.fetch(new Request('http://router/v1/files', init))
  send(HEAD)
  await settle()
  const left = () => tables.all('SELECT * FROM files WHERE state < 2').length
  return { app, clock, send, answer, left, body: body!, wasCancelled: () => wasCancelled }
}

test('an upload that comes in drops is cut, however long each of them was waited for', async () => {
  const { app, clock, send, answer, left, wasCancelled } = await uploading()
  assert.deepEqual([app.inFlight(), left()], [1, 1])
  for (let second = 0; second < 9; second++) {
    await clock.advance(1000)
    send('x')
  }
  await clock.advance(1000)
  const { status, headers } = await answer
  assert.deepEqual([status, headers.get('x-fetchway-error')], [408, 'upload_too_slow'])
  assert.deepEqual([app.inFlight(), left(), wasCancelled()], [0, 0, true])
})

test('what came of an upload that breaks off is gone', async () => {
  const { app, send, answer, left, body } = await uploading()
  send('x'.repeat(600_000))
  await settle()
  ;(body as ReadableStreamDefaultController<Uint8Array>).error(new Error('gone'))
  const { status, headers } = await answer
  assert.deepEqual([status, headers.get('x-fetchway-error')], [400, 'body_broken'])
  assert.deepEqual([app.inFlight(), left()], [0, 0])
})
