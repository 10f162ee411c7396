// The control plane: workers come, change, drain and go; keys; health; metrics.
import assert from 'node:assert/strict'
import type { Journeys, Start } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, eventsOf, unless, W1, W2, W3, WORKERS } from './_rig.ts'

export const control: Journeys = {
  'a worker is added, serves, is shown, and is removed': unless('dialled-in', async ({ open }: Start) => {
    const w1 = engine()
    const rig = await open({ workers: [] }, { [W1]: w1 })
    assert.equal((await rig.post(CHAT, chat())).body.error.code, 'no_workers')
    const added = await rig.admin('POST', WORKERS, {
      url: rig.url(W1),
      max_in_flight: 7,
      labels: { zone: 'a' },
    })
    assert.equal(added.status, 201)
    assert.equal(added.headers.get('location'), `${WORKERS}/${added.body.id}`)
    assert.equal((await rig.post(CHAT, chat())).status, 200)
    const shown = (await rig.admin('GET', `${WORKERS}/${added.body.id}`)).body
    assert.deepEqual(
      [shown.engine, shown.models, shown.max_in_flight, shown.labels, shown.state, shown.source],
      ['vllm', ['m'], 7, { zone: 'a' }, 'up', 'api'],
    )
    const again = await rig.admin('POST', WORKERS, { url: `${rig.url(W1)}/` })
    assert.deepEqual([again.status, again.body.error.code], [409, 'worker_exists'])
    const removed = await rig.admin('DELETE', `${WORKERS}/${added.body.id}`)
    assert.deepEqual([removed.status, removed.body.deleted], [200, true])
    assert.equal((await rig.post(CHAT, chat())).status, 503)
    assert.equal((await rig.admin('GET', `${WORKERS}/${added.body.id}`)).status, 404)
    assert.equal((await rig.admin('DELETE', `${WORKERS}/${added.body.id}`)).status, 404)
  }),

  async 'a worker that cannot be is refused with the reason'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    for (const spec of [
      {},
      { url: 'ftp://a' },
      { url: 'http://a:1', weight: -1 },
      { url: 'http://a:1', colour: 'red' },
      [],
    ]) {
      const { status, body } = await rig.admin('POST', WORKERS, spec)
      assert.deepEqual([status, body.error.code], [400, 'invalid_worker'], JSON.stringify(spec))
    }
    assert.equal((await rig.workers()).length, 1)
  },

  async 'a worker is changed, and changed back with null'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const { id } = await rig.worker(W1)
    const change = { weight: 3, max_in_flight: 2, labels: { a: 'b' }, api_key: 'k' }
    const changed = (await rig.admin('PATCH', `${WORKERS}/${id}`, change)).body
    assert.deepEqual(
      [changed.weight, changed.max_in_flight, changed.labels, changed.has_api_key],
      [3, 2, { a: 'b' }, true],
    )
    const nothing = { weight: null, max_in_flight: null, labels: null, api_key: null }
    const back = (await rig.admin('PATCH', `${WORKERS}/${id}`, nothing)).body
    assert.deepEqual([back.weight, back.max_in_flight, back.labels, back.has_api_key], [1, null, {}, false])
    const moved = await rig.admin('PATCH', `${WORKERS}/${id}`, { url: 'http://b:1' })
    assert.equal(moved.status, 400)
    assert.equal((await rig.admin('PATCH', `${WORKERS}/w-none`, {})).status, 404)
    assert.equal((await rig.post(CHAT, chat())).status, 200)
  },

  async 'a limit set by PATCH holds at once'({ open }) {
    const w1 = engine()
    const rig = await open({ queueSize: 0 }, { [W1]: w1 })
    const { id } = await rig.worker(W1)
    await rig.admin('PATCH', `${WORKERS}/${id}`, { max_in_flight: 1 })
    const leave = new AbortController()
    const body = chat({ stream: true, max_tokens: 5000, ignore_eos: true })
    const headers = { 'x-fault': 'slow=5ms' }
    const running = await rig.request(CHAT, { body, headers, signal: leave.signal })
    assert.equal((await rig.post(CHAT, chat())).body.error.code, 'queue_full')
    leave.abort()
    await assert.rejects(running.text())
  },

  async 'a draining worker finishes its stream and gets nothing new'({ open }) {
    const [w1, w2] = [engine(), engine()]
    const rig = await open({ policy: 'round_robin' }, { [W1]: w1, [W2]: w2 })
    const { id } = await rig.worker(W1)
    const stream = () => rig.post(CHAT, chat({ stream: true, max_tokens: 20 }), { 'x-fault': 'slow=15ms' })
    const running = [stream(), stream()]
    await rig.busy(w1)
    await rig.busy(w2)
    const drained = await rig.admin('POST', `${WORKERS}/${id}/drain`)
    assert.deepEqual([drained.status, drained.body.state, drained.body.draining], [200, 'draining', true])
    for (let round = 0; round < 4; round++) assert.equal((await rig.post(CHAT, chat())).status, 200)
    assert.deepEqual([callsOf(w1).length, callsOf(w2).length], [1, 5])
    for (const { text } of await Promise.all(running)) assert.ok(text.endsWith('data: [DONE]\n\n'))
    await rig.admin('POST', `${WORKERS}/${id}/undrain`)
    for (let round = 0; round < 4; round++) await rig.post(CHAT, chat())
    assert.equal(callsOf(w1).length, 3)
  },

  async 'a worker that is removed finishes its stream'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    const running = rig.post(CHAT, chat({ stream: true, max_tokens: 20 }), { 'x-fault': 'slow=10ms' })
    await rig.busy(w1)
    await rig.admin('DELETE', `${WORKERS}/${(await rig.worker(W1)).id}`)
    assert.ok((await running).text.endsWith('data: [DONE]\n\n'))
  },

  async 'state on a worker that was removed is gone'({ open }) {
    const rig = await open({}, { [W1]: engine({ seed: 1 }), [W2]: engine({ seed: 2 }) })
    const made = await rig.post('/v1/responses', { model: 'm', input: 'hi' })
    await rig.admin('DELETE', `${WORKERS}/${made.headers.get('x-fetchway-worker')}`)
    const next = { model: 'm', input: 'And?', previous_response_id: made.body.id }
    assert.equal((await rig.post('/v1/responses', next)).status, 404)
  },

  'workers added by the API outlive a restart; removed ones do not come back': unless(
    'dialled-in',
    async ({ open, close }: Start) => {
      const fleet = { [W1]: engine(), [W2]: engine(), [W3]: engine() }
      const store = `restart-${Math.random()}`
      const before = await open({ workers: [W1] }, fleet, { store })
      await before.admin('POST', WORKERS, { url: before.url(W2), labels: { kept: 'yes' } })
      const third = await before.admin('POST', WORKERS, { url: before.url(W3) })
      await before.admin('POST', `${WORKERS}/${(await before.worker(W2)).id}/drain`)
      await before.admin('DELETE', `${WORKERS}/${third.body.id}`)
      await close(before)
      const rig = await open({ workers: [W1] }, fleet, { store })
      assert.deepEqual(
        (await rig.workers()).map((one) => [one.url, one.source, one.draining, one.labels]),
        [
          [rig.url(W1), 'flag', false, {}],
          [rig.url(W2), 'api', true, { kept: 'yes' }],
        ],
      )
      assert.equal((await rig.post(CHAT, chat())).status, 200)
    },
  ),

  async 'the control plane needs its key; health and metrics do not'({ open }) {
    const rig = await open({ adminKey: 'root', apiKeys: ['sk-1'] }, { [W1]: engine() })
    const paths = [WORKERS, '/workers', '/fetchway/v1/status', '/status', '/config', '/fetchway/v1/config']
    for (const path of paths) {
      const { status, body } = await rig.ask(path, { headers: { authorization: 'Bearer sk-1' } })
      assert.deepEqual([path, status, body.error.code], [path, 401, 'admin_key_required'])
      assert.equal((await rig.admin('GET', path)).status, 200, path)
    }
    assert.equal((await rig.ask(WORKERS, { method: 'POST', body: { url: W2 } })).status, 401)
    for (const path of ['/livez', '/readyz', '/health', '/version', '/metrics'])
      assert.equal((await rig.ask(path)).status, 200, path)
    const metrics = (await rig.ask('/metrics')).text
    assert.ok(!metrics.includes(rig.url(W1)), 'URLs are for those with the key')
    assert.ok((await rig.admin('GET', '/metrics')).text.includes(rig.url(W1)))
  },

  async 'the control plane is closed without a key on an open address'({ open }) {
    const rig = await open({ host: '0.0.0.0' }, { [W1]: engine() })
    const { status, body } = await rig.admin('GET', WORKERS)
    assert.deepEqual([status, body.error.code], [403, 'admin_closed'])
    assert.equal((await rig.post(CHAT, chat())).status, 200)
  },

  async 'the configuration is shown without keys'({ open }) {
    const workers = [{ url: W1, apiKey: 'sk-worker-secret', headers: { 'cf-access': 'header-secret' } }]
    const config = { workers, adminKey: 'admin-secret', apiKeys: ['client-secret'], queueSize: 7 }
    const rig = await open(config, { [W1]: engine() })
    const { text, body } = await rig.admin('GET', '/fetchway/v1/config')
    assert.equal(body.queueSize, 7)
    const everything =
      text + (await rig.admin('GET', WORKERS)).text + (await rig.admin('GET', '/fetchway/v1/status')).text
    assert.doesNotMatch(everything, /secret/)
  },

  async 'readiness tells whether a worker is up and goes off for the end'({ open, has }) {
    const w1 = engine()
    const rig = await open({ healthInterval: '20ms', healthFailures: 1 }, { [W1]: w1 })
    assert.equal((await rig.ask('/readyz')).status, 200)
    w1.kill()
    await eventually(
      async () => (await rig.ask('/readyz')).status === 503,
      () => 'never unready',
    )
    assert.equal((await rig.ask('/livez')).status, 200)
    assert.equal((await rig.post(CHAT, chat())).status, 503)
    w1.revive()
    await eventually(
      async () => (await rig.ask('/readyz')).status === 200,
      () => 'never ready again',
    )
    if (has('fixed-configuration')) return
    rig.drain()
    assert.deepEqual([(await rig.ask('/readyz')).status, (await rig.ask('/health')).status], [503, 503])
    assert.equal((await rig.post(CHAT, chat())).status, 200, 'calls are still served')
  },

  'a reload swaps workers and lets streams finish': unless('fixed-configuration', async ({ open }: Start) => {
    const [w1, w2] = [engine(), engine({ models: ['n'] })]
    const rig = await open({ workers: [W1] }, { [W1]: w1, [W2]: w2 })
    const running = rig.post(CHAT, chat({ stream: true, max_tokens: 20 }), { 'x-fault': 'slow=10ms' })
    await rig.busy(w1)
    await rig.reload({ workers: [W2], aliases: { other: 'n' } })
    assert.equal((await rig.post(CHAT, chat({ model: 'n' }))).status, 200)
    assert.equal((await rig.post(CHAT, chat({ model: 'other' }))).status, 200)
    const { text } = await running
    assert.ok(text.endsWith('data: [DONE]\n\n') && eventsOf(text).length > 5)
    assert.deepEqual(
      (await rig.workers()).map((one) => one.url),
      [rig.url(W2)],
    )
  }),

  async 'what happened is in the metrics'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    await rig.post(CHAT, chat())
    await rig.post(CHAT, chat({ stream: true }))
    await rig.post(CHAT, chat({ temperature: -1 }))
    await rig.post(CHAT, chat({ model: 'nobody' }))
    await rig.rests()
    const outcomes = ['ok', 'client_error', 'refused'].map((one) =>
      rig.metric('fetchway_requests_total', `outcome="${one}"`),
    )
    assert.deepEqual(await Promise.all(outcomes), [2, 1, 1])
    assert.equal(await rig.metric('fetchway_first_token_seconds_count'), 1)
    assert.equal(await rig.metric('fetchway_refusals_total', 'model_not_found'), 1)
    assert.ok(
      !(await rig.admin('GET', '/metrics')).text.includes('nobody'),
      'labels do not grow with clients',
    )
  },
}
