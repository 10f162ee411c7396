// Workers that die, stall, lie and refuse: retries, breakers, timeouts, and streams that never look finished when they are not.
import assert from 'node:assert/strict'
import type { Engine } from '../../src/simulator/engine.ts'
import type { Journeys, Start } from './_journeys.ts'
import { begun, callsOf, chat, CHAT, engine, eventsOf, eventually, W1, W2, WORKERS } from './_rig.ts'

const broken = (options = {}) => engine({ fault: 'path=/v1/chat; die-before-head', ...options })
const STREAM = chat({ stream: true })

/** Ends the faults of an engine. */
async function mend(worker: Engine): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  await worker.fetch(new Request(`${W1}/fault`, { method: 'POST', headers, body: '{"fault":""}' }))
}

/** A limit that passes: of a clock that is moved, or a short one that is waited for. */
function limitOf({ has }: Start): { readonly ms: number; readonly options: { movesClock: boolean } } {
  const isReal = has('real-clock')
  return { ms: isReal ? 300 : 30_000, options: { movesClock: !isReal } }
}

export const failures: Journeys = {
  async 'a worker that dies before it answers is made up for by another'({ open }) {
    for (const fault of ['die-before-head', 'die-before-first', 'status=500', 'status=502', 'status=503']) {
      const [bad, good] = [broken({ fault: `path=/v1/chat; ${fault}` }), engine()]
      const rig = await open({ policy: 'round_robin', breakerFailures: 0 }, { [W1]: bad, [W2]: good })
      for (let round = 0; round < 4; round++) {
        const reply = await rig.post(CHAT, round % 2 ? STREAM : chat())
        assert.equal(reply.status, 200, fault)
        assert.equal(reply.headers.get('x-fetchway-worker'), (await rig.worker(W2)).id)
      }
      assert.ok((await rig.metric('fetchway_retries_total')) > 0)
    }
  },

  async 'a worker that breaks behind its head, before its first byte, is a 502 in the shape of the API'({
    open,
  }) {
    const rig = await open({ retries: 0, breakerFailures: 0 }, { [W1]: engine() })
    const fault = { 'x-fault': 'die-before-first' }
    for (const [path, body] of [
      [CHAT, chat()],
      [CHAT, STREAM],
      ['/v1/responses', { model: 'm', input: 'hi' }],
      ['/v1/messages', { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] }],
    ] as const) {
      const { status, headers, body: told } = await rig.post(path, body, fault)
      assert.deepEqual([status, headers.get('x-fetchway-error')], [502, 'worker_died'], path)
      assert.match(told.error.message, /broke the connection/)
      assert.equal(told.type, path === '/v1/messages' ? 'error' : undefined)
    }
  },

  async 'a worker that is not there is made up for, and looked at'({ open, has }) {
    const rig = await open(
      { policy: 'round_robin', workers: [{ url: W1, models: ['m'], engine: 'vllm' }, W2] },
      { [W1]: null, [W2]: engine() },
    )
    for (let round = 0; round < 4; round++) assert.equal((await rig.post(CHAT, chat())).status, 200)
    const reason = has('blind-connect') ? 'reset' : 'connect'
    assert.ok((await rig.metric('fetchway_retries_total', `reason="${reason}"`)) > 0)
  },

  async 'the only worker is tried again, and its death then told'({ open, has }) {
    const w1 = broken()
    const rig = await open({ retries: 2 }, { [W1]: w1 })
    const { status, body } = await rig.post(CHAT, chat())
    assert.deepEqual([status, body.error.code], [502, 'worker_died'])
    assert.equal(callsOf(w1).length, 3)
    const absent = await open({ workers: [{ url: W1, models: ['m'] }] }, { [W1]: null })
    const refused = await absent.post('/v1/messages', { model: 'm', messages: [] })
    const code = has('blind-connect') ? 'worker_died' : 'worker_unreachable'
    assert.deepEqual([refused.status, refused.body.error.code], [502, code])
    assert.equal(refused.body.type, 'error')
  },

  async 'an engine that fails everywhere is heard in its own words'({ open }) {
    const rig = await open({}, { [W1]: engine({ fault: 'path=/v1/chat; status=503; retry-after=7' }) })
    const { status, body, headers } = await rig.post(CHAT, chat())
    assert.deepEqual([status, headers.get('retry-after')], [503, '7'])
    assert.match(body.error.message, /Injected fault/)
  },

  async 'a refusal of the client is not tried elsewhere'({ open }) {
    const [w1, w2] = [engine(), engine()]
    const rig = await open({}, { [W1]: w1, [W2]: w2 })
    for (const status of [400, 404, 413, 422]) {
      const { status: got } = await rig.post(CHAT, chat(), { 'x-fault': `status=${status}` })
      assert.equal(got, status)
    }
    assert.equal(callsOf(w1).length + callsOf(w2).length, 4)
  },

  async 'a call that makes state is not sent twice'({ open }) {
    const [w1, w2] = [engine(), engine()]
    const rig = await open({}, { [W1]: w1, [W2]: w2 })
    const body = { model: 'm', input: 'hi', background: true }
    const { status } = await rig.post('/v1/responses', body, { 'x-fault': 'die-before-head' })
    assert.equal(status, 502)
    assert.equal(callsOf(w1).length + callsOf(w2).length, 1)
  },

  async 'a worker that fails too often is left alone, and comes back'({ open, has }) {
    // Real ones must not pass while the calls before are made.
    const ms = has('real-clock') ? 2500 : 30_000
    const options = { movesClock: !has('real-clock') }
    const [bad, good] = [broken(), engine()]
    const config = { policy: 'round_robin', breakerFailures: 3, breakerOpen: `${ms}ms`, breakerSuccesses: 1 }
    const rig = await open(config, { [W1]: bad, [W2]: good }, options)
    for (let round = 0; round < 10; round++) assert.equal((await rig.post(CHAT, chat())).status, 200)
    assert.equal(await rig.metric('fetchway_retries_total'), 3)
    assert.equal((await rig.worker(W1)).breaker, 'open')
    assert.equal(await rig.metric('fetchway_worker_breaker_state'), 1)
    await mend(bad)
    await rig.pass(ms)
    await eventually(
      async () => {
        await rig.post(CHAT, chat())
        return (await rig.worker(W1)).breaker === 'closed'
      },
      () => 'it never closed',
    )
  },

  async 'busy is not broken: a worker that says so opens no breaker and others go first'({ open }) {
    const [busy, free] = [engine({ fault: 'path=/v1/chat; status=503; retry-after=30' }), engine()]
    const rig = await open({ policy: 'round_robin', breakerFailures: 2 }, { [W1]: busy, [W2]: free })
    for (let round = 0; round < 6; round++) assert.equal((await rig.post(CHAT, chat())).status, 200)
    assert.equal(callsOf(busy).length, 1)
    const { breaker, state } = await rig.worker(W1)
    assert.deepEqual([breaker, state], ['closed', 'busy'])
  },

  async 'a stream that dies in the midst ends with an error and never with [DONE]'({ open }) {
    // Slowly, so that what came before has left the socket of the engine.
    for (const fault of ['slow=5ms; die-after=3', 'slow=5ms; truncate=3', 'slow=5ms; half-event-after=3']) {
      const [w1, w2] = [engine(), engine()]
      const rig = await open({}, { [W1]: w1, [W2]: w2 })
      const { status, text } = await rig.post(CHAT, STREAM, { 'x-fault': fault })
      assert.equal(status, 200)
      assert.match(text, /\n\ndata: \{"error":\{[^\n]*"code":"worker_died"[^\n]*\}\n\n$/, fault)
      assert.doesNotMatch(text, /\[DONE\]/)
      assert.equal(callsOf(w1).length + callsOf(w2).length, 1, 'nobody is tried after the first byte')
      await rig.rests()
      assert.equal(await rig.metric('fetchway_requests_total', 'outcome="truncated"'), 1)
    }
  },

  async 'each API tells a broken stream in its own shape'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const fault = { 'x-fault': 'slow=5ms; die-after=4' }
    const messages = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }], stream: true }
    const anthropic = await rig.post('/v1/messages', messages, fault)
    assert.match(anthropic.text, /\n\nevent: error\ndata: \{"type":"error"/)
    assert.doesNotMatch(anthropic.text, /message_stop/)
    const responses = await rig.post('/v1/responses', { model: 'm', input: 'hi', stream: true }, fault)
    const last = eventsOf(responses.text).at(-1)
    assert.deepEqual([last.type, last.response.status], ['response.failed', 'failed'])
    const completions = await rig.post('/v1/completions', { model: 'm', prompt: 'a', stream: true }, fault)
    assert.equal(eventsOf(completions.text).at(-1).error.code, 'worker_died')
  },

  async 'a whole answer that is cut is a broken connection, never a short answer'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const asked = rig.post(CHAT, chat(), { 'x-fault': 'slow=5ms; die-after=2' })
    await assert.rejects(asked)
  },

  async 'garbage in a stream passes, and the stream goes on'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const response = await rig.request(CHAT, { body: STREAM, headers: { 'x-fault': 'garbage-after=2' } })
    const bytes = await response.bytes()
    assert.ok(bytes.some((byte) => byte === 0xff))
    assert.match(new TextDecoder().decode(bytes), /data: \[DONE\]\n\n$/)
  },

  async 'a worker that says nothing in time is given up, before the head and before the first byte'(start) {
    for (const fault of ['stall-before-head', 'stall-before-first']) {
      const { ms, options } = limitOf(start)
      const w1 = engine()
      const rig = await start.open({ firstTokenTimeout: `${ms}ms` }, { [W1]: w1 }, options)
      const asked = rig.post(CHAT, STREAM, { 'x-fault': fault })
      await rig.busy(w1)
      await rig.pass(ms + 1)
      const { status, body } = await asked
      assert.deepEqual([status, body.error.code], [504, 'first_token_timeout'])
      assert.equal(callsOf(w1).length, 1, 'its time is up: nobody else is asked')
      await rig.pass(1000)
    }
  },

  async 'a stream that falls silent is ended with an error'(start) {
    const { ms, options } = limitOf(start)
    const w1 = engine()
    const rig = await start.open({ idleTimeout: `${ms}ms` }, { [W1]: w1 }, options)
    const asked = rig.post(CHAT, STREAM, { 'x-fault': 'stall-after=3' })
    await rig.busy(w1)
    await rig.pass(1)
    await rig.pass(ms + 2)
    const { text } = await asked
    assert.equal(eventsOf(text).at(-1).error.code, 'idle_timeout')
    await rig.pass(1000)
  },

  async 'an answer that takes too long in all is ended, though it never falls silent'(start) {
    const { ms, options } = limitOf(start)
    const w1 = engine()
    const rig = await start.open({ totalTimeout: `${ms}ms` }, { [W1]: w1 }, options)
    const endless = chat({ stream: true, max_tokens: 400, ignore_eos: true })
    const response = await rig.request(CHAT, { body: endless, headers: { 'x-fault': 'slow=5ms' } })
    const stream = await begun(response, 2)
    await rig.pass(ms + 1)
    assert.equal(eventsOf(await stream.rest()).at(-1).error.code, 'total_timeout')
    await rig.pass(1000)
  },

  async 'a worker that is killed loses its streams loudly, and nobody else does'({ open }) {
    const [w1, w2] = [engine({ seed: 1, fault: 'path=/v1/chat; stall-after=3' }), engine({ seed: 2 })]
    const rig = await open({ policy: 'round_robin' }, { [W1]: w1, [W2]: w2 })
    const stream = () => rig.request(CHAT, { body: chat({ stream: true, max_tokens: 20 }) })
    const running = await Promise.all((await Promise.all([stream(), stream()])).map((one) => begun(one)))
    w1.kill()
    const texts = await Promise.all(running.map((one) => one.rest()))
    assert.equal(texts.filter((text) => text.endsWith('data: [DONE]\n\n')).length, 1)
    assert.equal(texts.filter((text) => text.includes('"code":"worker_died"')).length, 1)
    for (let round = 0; round < 6; round++) assert.equal((await rig.post(CHAT, chat())).status, 200)
  },

  async 'calls are not lost while workers are rolled over'({ open }) {
    const fleet = { [W1]: engine(), [W2]: engine() }
    const rig = await open({ policy: 'round_robin' }, fleet)
    let isOver = false
    const bad: unknown[] = []
    const client = async () => {
      while (!isOver) {
        const reply = await rig.post(CHAT, STREAM)
        if (reply.status !== 200 || !reply.text.endsWith('[DONE]\n\n')) bad.push(reply.text)
      }
    }
    const clients = [client(), client(), client()]
    for (const [name, one] of Object.entries(fleet)) {
      const { id } = await rig.worker(name)
      await rig.admin('POST', `${WORKERS}/${id}/drain`)
      await eventually(
        async () => (await rig.worker(name)).in_flight === 0,
        () => 'never drained',
      )
      one.kill()
      await new Promise((resolve) => setTimeout(resolve, 30))
      one.revive()
      await rig.admin('POST', `${WORKERS}/${id}/undrain`)
    }
    isOver = true
    await Promise.all(clients)
    assert.deepEqual(bad, [])
  },
}
