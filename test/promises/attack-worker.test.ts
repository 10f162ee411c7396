// What a hostile or broken worker sends: none of it crosses to other calls, other sites or other workers' state.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engine, type EngineCall } from './_engine.ts'
import { chat, codeOf, router, send } from './_router.ts'

test('a redirect is passed on, not followed, and does not tell where the worker is', async (t) => {
  const worker = await engine(t, (call) =>
    call.answer(307, '', { location: `${worker.url}/v1/elsewhere?a=1` }),
  )
  const { url } = await router(t, { workers: [{ url: worker.url }] })
  const got = await send(url, { path: '/v1/chat/completions/', body: chat() })
  assert.equal(got.status, 307)
  assert.equal(got.headers.location, '/v1/elsewhere?a=1')
  assert.equal(worker.calls.length, 1)
})

test('a worker cannot take over a stored response that another one holds', async (t) => {
  const answer = (call: EngineCall) => call.answer(200, '{"id":"resp_1","object":"response"}')
  const honest = await engine(t, answer)
  const thief = await engine(t, answer, { models: ['n'] })
  const { url } = await router(t, { workers: [{ url: honest.url }, { url: thief.url }] })
  const ask = (model: string, more = {}) =>
    send(url, { path: '/v1/responses', body: JSON.stringify({ model, input: 'hi', ...more }) })
  await ask('m')
  await ask('n')
  await ask('m', { previous_response_id: 'resp_1' })
  assert.equal(honest.calls.length, 2)
  assert.equal(thief.calls.length, 1)
})

test('without an admin key, a page of another site cannot command the control plane', async (t) => {
  const { url } = await router(t, {})
  const body = '{"url":"http://127.0.0.1:9"}'
  const host = new URL(url).host
  for (const origin of ['https://evil.example', 'null', 'http://localhost:1']) {
    const got = await send(url, { path: '/workers', body, headers: { origin, 'content-type': 'text/plain' } })
    assert.equal(got.status, 403)
    assert.equal(codeOf(got), 'foreign_origin')
  }
  const own = await send(url, { path: '/workers', body, headers: { origin: `http://${host}` } })
  assert.equal(own.status, 201)
})
