// Who is let in, and who waits: keys, rates, sizes, places, queue, priorities.
import assert from 'node:assert/strict'
import type { Journeys } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, headerOf, W1, W2, type Rig } from './_rig.ts'
import type { Engine } from '../../src/simulator/engine.ts'

/** A call that holds its place until `end`. */
async function hold(rig: Rig, worker: Engine): Promise<{ end(): Promise<void> }> {
  const leave = new AbortController()
  const calls = callsOf(worker).length
  // It goes on, so that its end is noticed on every runtime.
  const body = chat({ stream: true, max_tokens: 5000, ignore_eos: true })
  const running = await rig.request(CHAT, { body, headers: { 'x-fault': 'slow=5ms' }, signal: leave.signal })
  await rig.busy(worker, calls + 1)
  return {
    async end() {
      leave.abort()
      await assert.rejects(running.text())
    },
  }
}

export const limits: Journeys = {
  async 'a key is needed where keys are, in both styles'({ open }) {
    const rig = await open({ apiKeys: ['sk-1', { key: 'sk-2', tenant: 'blue' }] }, { [W1]: engine() })
    const missing = await rig.post(CHAT, chat())
    assert.deepEqual([missing.status, missing.body.error.code], [401, 'missing_api_key'])
    assert.equal(missing.body.error.type, 'authentication_error')
    assert.equal(missing.headers.get('www-authenticate'), 'Bearer')
    assert.equal(
      (await rig.post(CHAT, chat(), { authorization: 'Bearer sk-3' })).body.error.code,
      'invalid_api_key',
    )
    assert.equal((await rig.ask('/v1/models')).status, 401)
    assert.equal((await rig.post(CHAT, chat(), { authorization: 'Bearer sk-1' })).status, 200)
    assert.equal((await rig.post(CHAT, chat(), { 'x-api-key': 'sk-2' })).status, 200)
    const messages = await rig.post('/v1/messages', { model: 'm' }, { 'x-api-key': 'no' })
    assert.deepEqual([messages.status, messages.body.error.type], [401, 'authentication_error'])
  },

  async 'a tenant over its rate is told when to come back'({ open }) {
    const apiKeys = [{ key: 'slow', requestsPerMinute: 2 }, { key: 'small', tokensPerMinute: 40 }, 'free']
    const rig = await open({ apiKeys }, { [W1]: engine() })
    const as = (key: string) => rig.post(CHAT, chat(), { authorization: `Bearer ${key}` })
    assert.deepEqual([(await as('slow')).status, (await as('slow')).status], [200, 200])
    const late = await as('slow')
    assert.deepEqual([late.status, late.body.error.code], [429, 'rate_limited'])
    assert.ok(Number(late.headers.get('retry-after')) > 0)
    assert.equal((await as('small')).status, 200)
    assert.equal((await as('small')).status, 429)
    assert.equal((await as('free')).status, 200)
  },

  async 'a body over the limit is refused before it is read'({ open }) {
    const w1 = engine()
    const rig = await open({ maxBody: '2KB' }, { [W1]: w1 })
    const { status, body } = await rig.post(CHAT, chat({ pad: 'x'.repeat(5000) }))
    assert.deepEqual([status, body.error.code], [413, 'body_too_large'])
    assert.equal(callsOf(w1).length, 0)
  },

  async 'calls over the limit wait and are served in turn'({ open }) {
    const w1 = engine()
    const rig = await open({ maxInFlightPerWorker: 1 }, { [W1]: w1 })
    const first = await hold(rig, w1)
    const waiting = [rig.post(CHAT, chat()), rig.post(CHAT, chat({ stream: true }))]
    await rig.queued(2)
    assert.equal(callsOf(w1).length, 1)
    assert.equal(await rig.metric('fetchway_queue_depth'), 2)
    await first.end()
    for (const reply of await Promise.all(waiting)) assert.equal(reply.status, 200)
  },

  async 'a limit over all workers holds, too'({ open }) {
    const [w1, w2] = [engine(), engine({ models: ['other'] })]
    const rig = await open({ maxInFlight: 1 }, { [W1]: w1, [W2]: w2 })
    const first = await hold(rig, w1)
    const waiting = rig.post(CHAT, chat({ model: 'other' }))
    await rig.queued(1)
    assert.equal(callsOf(w2).length, 0)
    await first.end()
    assert.equal((await waiting).status, 200)
  },

  async 'lower priority values go first'({ open }) {
    const w1 = engine()
    const rig = await open({ maxInFlightPerWorker: 1 }, { [W1]: w1 })
    const first = await hold(rig, w1)
    const waiting: Promise<unknown>[] = []
    const add = async (id: string, priority: Record<string, string>, more = {}) => {
      waiting.push(rig.post(CHAT, chat(more), { 'x-request-id': id, ...priority }))
      await rig.queued(waiting.length)
    }
    await add('late', { 'x-priority': '5' })
    await add('middle', {})
    await add('body', {}, { priority: -1 })
    await add('first', { 'x-priority': '-5' })
    await first.end()
    await Promise.all(waiting)
    const order = callsOf(w1)
      .slice(1)
      .map((call) => headerOf(call, 'x-request-id'))
    assert.deepEqual(order, ['first', 'body', 'middle', 'late'])
  },

  async 'a full queue refuses at once and says when to come back'({ open }) {
    const w1 = engine()
    const rig = await open({ maxInFlightPerWorker: 1, queueSize: 1 }, { [W1]: w1 })
    const first = await hold(rig, w1)
    const waiting = rig.post(CHAT, chat())
    await rig.queued(1)
    const { status, body, headers } = await rig.post(CHAT, chat())
    assert.deepEqual(
      [status, body.error.code, headers.get('x-fetchway-error')],
      [429, 'queue_full', 'queue_full'],
    )
    assert.ok(Number(headers.get('retry-after')) >= 1)
    await first.end()
    assert.equal((await waiting).status, 200)
  },

  async 'who waits too long is refused'({ open, has }) {
    const w1 = engine()
    const limit = has('real-clock') ? 400 : 60_000
    const config = { maxInFlightPerWorker: 1, queueTimeout: `${limit}ms` }
    const rig = await open(config, { [W1]: w1 }, { movesClock: !has('real-clock') })
    const first = await hold(rig, w1)
    const waiting = rig.post(CHAT, chat())
    await rig.queued(1)
    await rig.pass(limit + 1)
    const { status, body } = await waiting
    assert.deepEqual([status, body.error.code], [503, 'queue_timeout'])
    await first.end()
    await rig.pass(1000)
  },

  async 'comments keep a waiting stream awake, and an error that comes late is an event'({ open }) {
    const w1 = engine()
    const rig = await open({ maxInFlightPerWorker: 1, keepAlive: '10ms', queueTimeout: '1s' }, { [W1]: w1 })
    const first = await hold(rig, w1)
    const patient = rig.post(CHAT, chat({ stream: true }), { 'x-request-id': 'patient' })
    await rig.queued(1)
    const late = await rig.post(CHAT, chat({ stream: true }))
    assert.equal(late.status, 200)
    assert.match(late.text, /^: keep-alive\n\n/)
    assert.match(late.text, /data: \{"error":\{[^\n]*"code":"queue_timeout"[^\n]*\}\n\n$/)
    await first.end()
    const { headers } = await patient
    assert.equal(headers.get('x-request-id'), 'patient')
  },

  async 'a stream that waited goes on as if it had not'({ open }) {
    const w1 = engine()
    const rig = await open({ keepAlive: '10ms' }, { [W1]: w1 })
    const plain = await rig.post(CHAT, chat({ stream: true }))
    const { text } = await rig.post(CHAT, chat({ stream: true }), { 'x-fault': 'delay=300ms' })
    assert.match(text, /^: keep-alive\n\n/)
    const bare = (stream: string) =>
      stream.replace(/^(: keep-alive\n\n)+/, '').replace(/"(id|created)":("[^"]*"|\d+)/g, '')
    assert.equal(bare(text), bare(plain.text))
    const whole = await rig.post(CHAT, chat(), { 'x-fault': 'delay=300ms' })
    assert.equal(whole.body.object, 'chat.completion')
  },
}
