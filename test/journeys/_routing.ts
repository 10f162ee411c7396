// Which worker gets a call: models, aliases, adapters, sessions, mixed fleets.
import assert from 'node:assert/strict'
import type { Engine } from '../../src/simulator/engine.ts'
import type { Journeys } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, headerOf, heeding, W1, W2, W3 } from './_rig.ts'

const ids = (body: { data: { id: string }[] }) => body.data.map(({ id }) => id)

/** A long stream that did not come through the router. */
async function direct(worker: Engine, signal: AbortSignal): Promise<void> {
  const body = JSON.stringify(chat({ stream: true, max_tokens: 4000, ignore_eos: true }))
  const headers = { 'content-type': 'application/json' }
  const request = new Request(`${W1}${CHAT}`, { method: 'POST', headers, body })
  await worker.fetch(heeding(request, signal))
}

export const routing: Journeys = {
  async 'each model goes to the workers that serve it, and all are listed'({ open }) {
    const [a, b] = [engine({ models: ['org/a'] }), engine({ models: ['b'], engine: 'sglang' })]
    const rig = await open({}, { [W1]: a, [W2]: b })
    const { body } = await rig.ask('/v1/models')
    assert.deepEqual(ids(body), ['org/a', 'b'])
    assert.equal((await rig.ask('/v1/models/org/a')).body.id, 'org/a')
    assert.equal((await rig.ask('/v1/models/org%2Fa')).body.id, 'org/a')
    for (let round = 0; round < 3; round++) {
      assert.equal((await rig.post(CHAT, chat({ model: 'org/a' }))).status, 200)
      assert.equal((await rig.post(CHAT, chat({ model: 'b' }))).status, 200)
    }
    assert.deepEqual([callsOf(a).length, callsOf(b).length], [3, 3])
  },

  async 'an unknown model is refused by name without asking a worker'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    const { status, body } = await rig.post(CHAT, chat({ model: 'M' }))
    assert.deepEqual([status, body.error.code], [404, 'model_not_found'])
    assert.match(body.error.message, /"M".*Known models: m/)
    assert.equal((await rig.ask('/v1/models/none')).status, 404)
    assert.equal(callsOf(w1).length, 0)
  },

  async 'a path that is badly encoded is a client error'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    for (const path of ['/v1/models/%E0%A4%A', '/v1/responses/%E0%A4%A'])
      assert.equal((await rig.ask(path)).status, 404, path)
  },

  async 'an alias is another name, listed, and the engine hears its own'({ open }) {
    const w1 = engine()
    const rig = await open({ aliases: { 'gpt-4o': 'm' } }, { [W1]: w1 })
    assert.deepEqual(ids((await rig.ask('/v1/models')).body), ['m', 'gpt-4o'])
    assert.equal((await rig.post(CHAT, chat({ model: 'gpt-4o', n: 1 }))).status, 200)
    assert.equal(callsOf(w1)[0]?.body, JSON.stringify(chat({ model: 'm', n: 1 })))
  },

  async 'adapters are models of the workers that loaded them'({ open }) {
    const [plain, tuned] = [engine(), engine({ adapters: ['tuned'] })]
    const rig = await open({}, { [W1]: plain, [W2]: tuned })
    for (let round = 0; round < 3; round++)
      assert.equal((await rig.post(CHAT, chat({ model: 'tuned' }))).status, 200)
    assert.deepEqual([callsOf(plain).length, callsOf(tuned).length], [0, 3])
    const shown = (await rig.ask('/v1/models/tuned')).body
    assert.equal(shown.parent, 'm')
  },

  async 'a model of several engines is served by all of them'({ open }) {
    const fleet = { [W1]: engine(), [W2]: engine({ engine: 'sglang' }), [W3]: engine({ engine: 'lmdeploy' }) }
    const rig = await open({ policy: 'round_robin' }, fleet)
    for (let round = 0; round < 6; round++)
      assert.equal((await rig.post(CHAT, chat({ stream: round % 2 > 0 }))).status, 200)
    assert.deepEqual(
      Object.values(fleet).map((one) => callsOf(one).length),
      [2, 2, 2],
    )
    // Workers that dial in come in any order.
    const engines = new Set((await rig.workers()).map((one) => one.engine))
    assert.deepEqual(engines, new Set(['vllm', 'sglang', 'lmdeploy']))
    assert.deepEqual(ids((await rig.ask('/v1/models')).body), ['m'])
  },

  async 'a session stays with its worker, by header, body or user'({ open }) {
    const fleet = { [W1]: engine(), [W2]: engine(), [W3]: engine() }
    const rig = await open({ policy: 'consistent_hash' }, fleet)
    const homes = new Set<string | null>()
    for (let session = 0; session < 12; session++) {
      const name = `session-${session}`
      const replies = [
        await rig.post(CHAT, chat(), { 'x-session-id': name }),
        await rig.post(CHAT, chat({ session_id: name })),
        await rig.post(CHAT, chat({ user: name })),
      ]
      const chosen = new Set(replies.map(({ headers }) => headers.get('x-fetchway-worker')))
      assert.equal(chosen.size, 1)
      for (const one of chosen) homes.add(one)
    }
    assert.ok(homes.size > 1)
  },

  async 'every policy serves'({ open }) {
    for (const policy of [
      'least_cost',
      'least_load',
      'least_latency',
      'power_of_two',
      'random',
      'round_robin',
      'consistent_hash',
    ]) {
      const rig = await open({ policy }, { [W1]: engine(), [W2]: engine() })
      for (let round = 0; round < 4; round++) assert.equal((await rig.post(CHAT, chat())).status, 200, policy)
    }
  },

  async 'a worker that others keep busy gets fewer calls, and its load is shown'({ open }) {
    for (const policy of ['least_cost', 'power_of_two']) {
      const [taken, free] = [engine(), engine()]
      // Streams that nobody reads run on.
      const others = new AbortController()
      for (let call = 0; call < 40; call++) await direct(taken, others.signal)
      const rig = await open({ policy }, { [W1]: taken, [W2]: free })
      await eventually(
        async () => (await rig.worker(W1)).load?.running === 40 && (await rig.worker(W2)).load !== null,
        () => 'the load was not told',
      )
      assert.equal(await rig.metric('fetchway_worker_engine_running'), 40)
      assert.ok((await rig.metric('fetchway_worker_kv_usage_ratio')) > 0)
      for (let round = 0; round < 6; round++) assert.equal((await rig.post(CHAT, chat())).status, 200)
      assert.deepEqual([callsOf(taken).length - 40, callsOf(free).length], [0, 6], policy)
      others.abort()
    }
  },

  async 'a load report is asked for, used and not passed on, unless the client asked itself'({ open }) {
    const w1 = engine()
    const rig = await open({ loadInterval: 'off' }, { [W1]: w1 })
    const first = await rig.post(CHAT, chat())
    assert.equal(first.headers.get('endpoint-load-metrics'), null)
    assert.equal(headerOf(callsOf(w1)[0], 'endpoint-load-metrics-format'), 'TEXT')
    await eventually(
      async () => (await rig.worker(W1)).load?.waiting === 0,
      () => 'the report did not count',
    )
    const asked = await rig.post(CHAT, chat(), { 'endpoint-load-metrics-format': 'json' })
    assert.match(asked.headers.get('endpoint-load-metrics') ?? '', /^JSON \{/)
  },

  async 'with models ignored any name goes through'({ open }) {
    const rig = await open({ models: 'ignore' }, { [W1]: engine({ engine: 'sglang' }) })
    assert.equal((await rig.post(CHAT, chat({ model: 'whatever' }))).body.model, 'whatever')
  },

  async 'a worker that starts late is found by itself'({ open }) {
    const late = engine()
    late.kill()
    const rig = await open({ healthInterval: '50ms' }, { [W1]: late })
    const early = await rig.post(CHAT, chat())
    assert.deepEqual([early.status, early.body.error.code], [503, 'no_workers'])
    assert.ok(Number(early.headers.get('retry-after')) >= 1)
    late.revive()
    await eventually(
      async () => (await rig.post(CHAT, chat())).status === 200,
      () => 'it was not found',
    )
  },

  async 'a model with slashes, quotes and letters of all kinds is just a name'({ open }) {
    const name = 'ä/"b"\\c 数'
    const w1 = engine({ models: [name] })
    const rig = await open({ aliases: { 'ö"': name } }, { [W1]: w1 })
    assert.equal((await rig.post(CHAT, chat({ model: name }))).body.model, name)
    assert.equal((await rig.post(CHAT, chat({ model: 'ö"' }))).body.model, name)
    assert.equal((await rig.ask(`/v1/models/${encodeURIComponent(name)}`)).body.id, name)
  },

  async 'keys of clients and workers never cross'({ open }) {
    const [own, open1] = [engine({ apiKey: 'sk-worker' }), engine()]
    const workers = [{ url: W1, apiKey: 'sk-worker', headers: { 'x-team': 'blue' } }, W2]
    const rig = await open(
      { workers, apiKeys: ['sk-client'], policy: 'round_robin' },
      { [W1]: own, [W2]: open1 },
    )
    for (let round = 0; round < 2; round++)
      assert.equal((await rig.post(CHAT, chat(), { authorization: 'Bearer sk-client' })).status, 200)
    assert.equal(headerOf(callsOf(own)[0], 'authorization'), 'Bearer sk-worker')
    assert.equal(headerOf(callsOf(own)[0], 'x-team'), 'blue')
    assert.equal(headerOf(callsOf(open1)[0], 'authorization'), undefined)
    assert.equal(headerOf(callsOf(open1)[0], 'x-team'), undefined)
  },

  async 'without keys of our own the client key goes to the worker'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    await rig.post(CHAT, chat(), { authorization: 'Bearer sk-client' })
    assert.equal(headerOf(callsOf(w1)[0], 'authorization'), 'Bearer sk-client')
  },
}
