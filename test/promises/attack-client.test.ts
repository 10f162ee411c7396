// What a hostile client sends: nothing of it reaches a place that it may not, crashes, or stays behind.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import { client } from '../adapters/node/rig.ts'
import { engine, type EngineCall } from './_engine.ts'
import { CHAT, chat, codeOf, eventually, router, send } from './_router.ts'

const UPGRADE = 'Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a\r\n'

async function rig(t: TestContext, config: ConfigInput = {}, behave?: (call: EngineCall) => unknown) {
  const worker = await engine(t, behave)
  return { worker, ...(await router(t, { workers: [{ url: worker.url }], ...config })) }
}

for (const path of [
  '/v1/../pause',
  '/v1/%2e%2E/pause',
  '/v1/..%2fpause',
  '/pause/../v1/responses/a',
  '/v1/a%2fb/../../x',
]) {
  test(`no path that climbs out of /v1 travels to a worker: ${path}`, async (t) => {
    const { url, worker } = await rig(t)
    assert.equal((await send(url, { path, body: '{"model":"m"}' })).status, 404)
    assert.equal(worker.calls.length, 0)
  })
}

test('a request that would echo its headers does not travel: they hold the key of the worker', async (t) => {
  const { url, worker } = await rig(t)
  assert.equal((await send(url, { method: 'TRACE', path: '/v1/x', body: '' })).status, 404)
  assert.equal(worker.calls.length, 0)
})

test('an upgrade opens nothing of a worker but what lies under /v1', async (t) => {
  const { url, worker } = await rig(t)
  const peer = await client(t, url)
  peer.socket.write(`GET /server_info HTTP/1.1\r\n${UPGRADE}\r\n`)
  assert.match(await peer.until('\r\n\r\n'), /^HTTP\/1\.1 404 /)
  // The router's own questions are no upgrades.
  const opened = [...worker.calls, ...worker.questions].filter((call) => call.header('upgrade'))
  assert.deepEqual(
    opened.map((call) => call.path),
    [],
  )
})

test('behind a refused upgrade no bytes of the client reach the worker', async (t) => {
  const refuse = (call: EngineCall) => call.answer(404, '{"detail":"Not Found"}')
  const { url, worker } = await rig(t, {}, refuse)
  const peer = await client(t, url)
  const smuggled = 'POST /pause HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'
  peer.socket.write(`GET /v1/realtime?model=m HTTP/1.1\r\n${UPGRADE}\r\n${smuggled}`)
  assert.match(await peer.until('Not Found"}'), /^HTTP\/1\.1 404 /)
  if (peer.socket.writable) peer.socket.write(smuggled)
  await peer.closed
  assert.deepEqual(
    worker.calls.map((call) => call.path),
    ['/v1/realtime?model=m'],
  )
})

test('a refused upgrade gives back the memory that it claimed for a body', async (t) => {
  const { url, status } = await rig(t, {}, (call) => call.answer(404, '{}'))
  const peer = await client(t, url)
  peer.socket.write(`GET /v1/realtime?model=m HTTP/1.1\r\n${UPGRADE}Content-Length: 200000000\r\n\r\n`)
  await peer.closed
  assert.equal((await status()).buffered_bytes, 0)
})

test('an upgrade asked for by another method than GET is none', async (t) => {
  const { url } = await rig(t)
  const got = await send(url, { path: '/nothing', headers: { connection: 'upgrade', upgrade: 'websocket' } })
  assert.equal(got.status, 404)
})

test('the admin key never travels to a worker', async (t) => {
  const { url, worker } = await rig(t, { adminKey: 'admin-secret' })
  for (const headers of [{ authorization: 'Bearer admin-secret' }, { 'x-api-key': 'admin-secret' }])
    assert.equal((await send(url, { method: 'GET', path: '/v1/workerz', headers })).status, 200)
  for (const call of worker.calls) assert.doesNotMatch(call.head, /admin-secret/)
  assert.equal(worker.calls.length, 2)
})

for (const name of ['constructor', '__proto__', 'toString']) {
  test(`a model may be called ${name}`, async (t) => {
    const { url, worker } = await rig(t, { models: 'ignore' })
    const got = await send(url, { body: chat({ x: 1 }).replace('"m"', JSON.stringify(name)) })
    assert.equal(got.status, 200)
    assert.equal(worker.calls[0]?.json()['model'], name)
  })
}

test('options that are no JSON inside are left to the engine to refuse', async (t) => {
  const { url, worker } = await rig(t, {}, (call) => call.answer(400, '{}'))
  const body = '{"model":"m","stream":true,"stream_options":{x},"messages":[]}'
  assert.equal((await send(url, { body })).status, 400)
  assert.equal(worker.calls[0]?.text, body)
})

for (const [what, id] of [
  ['half a character', '\ud800'],
  ['a path', '..'],
  ['endless', 'r'.repeat(100_000)],
] as const) {
  test(`the id of a stored response that is ${what} is held by nobody, and nobody is asked`, async (t) => {
    const { url, worker } = await rig(t)
    const other = await engine(t)
    const added = await send(url, { path: '/workers', body: JSON.stringify({ url: other.url }) })
    assert.equal(added.status, 201)
    const body = JSON.stringify({ model: 'm', input: 'hi', previous_response_id: id })
    const got = await send(url, { path: '/v1/responses', body })
    assert.equal(got.status, 404)
    assert.equal(codeOf(got), 'state_not_found')
    assert.equal(worker.calls.length + other.calls.length, 0)
    assert.ok(got.text.length < 1000, 'the id comes back in the error')
  })
}

test('a model name of a megabyte does not come back in the error', async (t) => {
  const { url } = await rig(t)
  const got = await send(url, { body: chat({ x: 1 }).replace('"m"', `"${'x'.repeat(1_000_000)}"`) })
  assert.equal(codeOf(got), 'model_not_found')
  assert.ok(got.text.length < 1000)
})

test('a body that is broken anywhere is never our failure', async (t) => {
  const { url, app, logs } = await rig(t)
  const whole = chat({
    stream: true,
    stream_options: { a: 1 },
    user: 'é',
    conversation: { id: 'a' },
    priority: 1,
  })
  for (let at = 0; at < whole.length; at += 3) {
    for (const broken of [whole.slice(0, at), `${whole.slice(0, at)}\\${whole.slice(at + 1)}`]) {
      const got = await send(url, { path: CHAT, body: broken })
      assert.notEqual(got.status, 500, `${broken}: ${got.text}`)
    }
  }
  await eventually(() => app.inFlight() === 0)
  assert.deepEqual(
    logs.filter((line) => line.includes('inside the router')),
    [],
  )
})
