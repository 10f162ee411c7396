import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { callsOf, chat, engine, headerOf } from '../journeys/_rig.ts'
import { CHAT, open, W1 } from './_rig.ts'

const URL = 'https://api.example.com'
const provider = (more: object = {}) => ({
  name: 'example',
  url: `${URL}/v1`,
  apiKey: 'secret',
  headers: { 'x-org': 'o' },
  models: [{ id: 'big', aliases: ['nick'] }],
  ...more,
})
const outside = (options: Parameters<typeof engine>[0] = {}) => engine({ models: ['big'], ...options })
/** The configuration's own form. */
const by = (more: object = {}) => ({ providers: [provider(more)] })

describe('providers outside of the fleet', () => {
  test('answer calls for their models, by id and alias, with their own key and headers alone', async () => {
    const theirs = outside()
    const worker = engine()
    const { ask } = await open({ [W1]: worker, [URL]: theirs }, by())
    const headers = { authorization: 'Bearer client', cookie: 'a=b', 'x-request-id': 'rid' }
    for (const model of ['big', 'nick']) {
      const reply = await ask(CHAT, { body: chat({ model }), headers })
      assert.deepEqual([reply.status, reply.json.model], [200, 'big'], model)
      assert.equal(reply.headers.get('x-request-id'), 'rid')
    }
    assert.equal((await ask(CHAT, { body: chat() })).status, 200)
    assert.equal(callsOf(worker).length, 1)
    const [, sent] = callsOf(theirs)
    assert.equal((JSON.parse(sent?.body ?? '') as { model: string }).model, 'big')
    assert.equal(sent?.path, CHAT)
    assert.deepEqual(
      ['authorization', 'x-org', 'cookie'].map((name) => headerOf(sent, name)),
      ['Bearer secret', 'o', undefined],
    )
  })

  test('stream', async () => {
    const { ask } = await open({ [W1]: engine(), [URL]: outside() }, by())
    const { headers, text } = await ask(CHAT, { body: chat({ model: 'big', stream: true }) })
    assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
    assert.match(text, /data: \[DONE\]/)
  })

  test('are listed with their models, under their names', async () => {
    const { ask } = await open({ [W1]: engine(), [URL]: outside() }, by())
    const { json } = await ask('/v1/models')
    const listed = (json.data as { id: string; owned_by: string }[]).map(({ id, owned_by }) => [id, owned_by])
    assert.deepEqual(listed, [
      ['m', 'vllm'],
      ['big', 'example'],
    ])
  })

  test('are not listed twice with a model that the fleet has', async () => {
    const { ask } = await open(
      { [W1]: engine(), [URL]: outside({ models: ['m'] }) },
      by({ models: [{ id: 'm' }] }),
    )
    assert.deepEqual(
      (await ask('/v1/models')).json.data.map(({ id }: { id: string }) => id),
      ['m'],
    )
  })

  test('have no models that they do not list, and what is configured where they do not tell', async () => {
    const models = [{ id: 'big' }, { id: 'gone' }]
    const { ask, logged } = await open({ [W1]: engine(), [URL]: outside() }, by({ models }))
    assert.equal((await ask(CHAT, { body: chat({ model: 'gone' }) })).status, 404)
    assert.ok(logged.some(({ message }) => message === 'provider example has no model gone: it is left out'))
    const silent = await open({ [W1]: engine(), [URL]: null }, by({ models }))
    const { json } = await silent.ask('/v1/models')
    assert.equal(json.data.length, 3)
  })

  test('that cannot be reached are tried again, and then told of', async () => {
    let tried = 0
    const broken = {
      fetch: () => {
        tried++
        return Promise.reject(new TypeError('fetch failed'))
      },
    }
    const { ask } = await open({ [W1]: engine(), [URL]: broken }, by({ maxRetries: 1 }))
    tried = 0
    const { status, json } = await ask(CHAT, { body: chat({ model: 'big' }) })
    assert.equal(status, 502)
    assert.equal(json.error.code, 'provider_failed')
    assert.match(json.error.message, /^External provider 'example' request failed: /)
    assert.equal(tried, 2)
    assert.match((await ask('/metrics')).text, /fetchway_requests_total\{.*status="502"/)
  })

  test('answer errors as they are', async () => {
    const { ask } = await open({ [W1]: engine(), [URL]: outside({ fault: 'status=429' }) }, by())
    assert.equal((await ask(CHAT, { body: chat({ model: 'big' }) })).status, 429)
  })

  test('count for a tenant’s limits', async () => {
    const apiKeys = [{ key: 'k', requestsPerMinute: 1 }]
    const theirs = outside()
    const { ask } = await open({ [W1]: engine(), [URL]: theirs }, { ...by(), apiKeys })
    const call = () => ask(CHAT, { body: chat({ model: 'big' }), headers: { authorization: 'Bearer k' } })
    assert.deepEqual([(await call()).status, (await call()).status], [200, 429])
    assert.equal(headerOf(callsOf(theirs)[0], 'authorization'), 'Bearer secret')
  })
})
