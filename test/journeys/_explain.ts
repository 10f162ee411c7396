// Why a call went where it went: decisions, dry runs, predictions held against what engines tell, a shadow policy.
import assert from 'node:assert/strict'
import type { Journeys, Start } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, unless, W1, W2, W3, WORKERS } from './_rig.ts'
import type { Json, Reply, Rig } from './_rig.ts'

const DECISIONS = '/fetchway/v1/decisions'
const EXPLAIN = '/fetchway/v1/explain'
const SHADOW = '/fetchway/v1/shadow'

const SECRET = 'my mother\u2019s maiden name is Quetzalcoatl'
/** A prompt of many blocks. */
const long = (beginning = '', more = {}) =>
  chat({
    messages: [{ role: 'user', content: `${beginning}${'All work and no play. '.repeat(200)}` }],
    ...more,
  })

/** The decision of an answer, once the pool knows how its call ended. */
async function decisionOf(rig: Rig, reply: Reply): Promise<Json> {
  const id = reply.headers.get('x-fetchway-decision')
  let found: Reply | null = null
  await eventually(
    async () => {
      found = await rig.admin('GET', `${DECISIONS}/${id}`)
      return found.status !== 200 || found.body.outcome !== 'running'
    },
    () => `the decision never ended: ${found?.text}`,
  )
  assert.equal((found as Reply | null)?.status, 200)
  return (found as Reply | null)?.body
}

const sorted = (ids: readonly string[]): string[] => ids.toSorted((a, b) => (a < b ? -1 : 1))
const workersIn = (list: Json[]): string[] => sorted(list.map((one) => one.worker as string))

export const explain: Journeys = {
  async 'every answer names a worker and a decision, which tells what it was made of'({ open }) {
    const rig = await open({ policy: 'least_cost' }, { [W1]: engine(), [W2]: engine({ engine: 'sglang' }) })
    const ids = sorted((await rig.workers()).map((one) => one.id as string))
    for (const body of [long(), long('', { stream: true })]) {
      const reply = await rig.post(CHAT, body)
      const decision = await decisionOf(rig, reply)
      assert.equal(decision.id, reply.headers.get('x-fetchway-decision'))
      assert.equal(decision.worker, reply.headers.get('x-fetchway-worker'))
      assert.deepEqual([decision.object, decision.dry_run, decision.degraded], ['decision', false, false])
      assert.deepEqual([decision.model, decision.policy, decision.outcome], ['m', 'least_cost', 'done'])
      assert.deepEqual([decision.status, decision.stream], [200, 'stream' in body])
      assert.deepEqual([workersIn(decision.candidates), decision.exclusions], [ids, []])
      for (const candidate of decision.candidates) {
        assert.equal(candidate.chosen, candidate.worker === decision.worker)
        assert.deepEqual([candidate.backlog_tokens, candidate.in_flight], [0, 0])
        const parts = Object.values(candidate.terms as Record<string, number>)
        assert.ok(Math.abs(candidate.cost - parts.reduce((sum, part) => sum + part, 0)) < 1e-5)
        assert.ok(candidate.terms.uncached > 0)
      }
      assert.ok(decision.duration_ms >= 0 && decision.prompt.tokens > 500 && decision.prompt.blocks > 5)
    }
  },

  async 'a call that was tried twice lists both attempts, and why the first worker was out'({ open }) {
    const bad = engine({ fault: 'path=/v1/chat; status=500' })
    const rig = await open({ policy: 'round_robin', breakerFailures: 0 }, { [W1]: bad, [W2]: engine() })
    let decision = await decisionOf(rig, await rig.post(CHAT, long()))
    // Workers that dial in come in any order, so the good one's turn may be the first.
    if (decision.attempts.length === 1) decision = await decisionOf(rig, await rig.post(CHAT, long()))
    const [first, second] = [await rig.worker(W1), await rig.worker(W2)].map((one) => one.id)
    assert.deepEqual(
      decision.attempts.map((one: Json) => [one.attempt, one.worker, one.outcome, one.failure]),
      [
        [1, first, 'failed', { kind: 'status', status: 500 }],
        [2, second, 'done', null],
      ],
    )
    assert.deepEqual(workersIn(decision.attempts[0].candidates), sorted([first, second]))
    assert.deepEqual(decision.exclusions, [{ worker: first, reason: 'tried' }])
    assert.deepEqual([decision.worker, workersIn(decision.candidates)], [second, [second]])
  },

  async 'a worker that was not chosen from is named with the reason'({ open }) {
    const fleet = { [W1]: engine(), [W2]: engine(), [W3]: engine({ models: ['other'] }) }
    const rig = await open({}, fleet)
    const ids = await Promise.all([W1, W2, W3].map(async (name) => (await rig.worker(name)).id as string))
    await rig.admin('POST', `${WORKERS}/${ids[1]}/drain`)
    const decision = await decisionOf(rig, await rig.post(CHAT, chat()))
    assert.deepEqual(workersIn(decision.candidates), [ids[0]])
    assert.deepEqual(
      new Map(decision.exclusions.map((one: Json) => [one.worker, one.reason])),
      new Map([
        [ids[1], 'draining'],
        [ids[2], 'model_not_served'],
      ]),
    )
  },

  async 'a stream that is kept awake names its decision before there is a worker'({ open }) {
    const rig = await open({ keepAlive: '10ms' }, { [W1]: engine() })
    const reply = await rig.post(CHAT, chat({ stream: true }), { 'x-fault': 'delay=300ms' })
    assert.match(reply.text, /^: keep-alive/)
    assert.equal((await decisionOf(rig, reply)).worker, (await rig.worker(W1)).id)
  },

  async 'a call that nobody could take has a decision too'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const { id } = await rig.worker(W1)
    await rig.admin('POST', `${WORKERS}/${id}/drain`)
    const reply = await rig.post(CHAT, chat())
    assert.equal(reply.body.error.code, 'no_workers')
    const decision = await decisionOf(rig, reply)
    assert.deepEqual(
      [decision.outcome, decision.worker, decision.refusal.code],
      ['refused', null, 'no_workers'],
    )
    assert.deepEqual(decision.exclusions, [{ worker: id, reason: 'draining' }])
    const dry = await rig.admin('POST', EXPLAIN, chat())
    assert.deepEqual(
      [dry.status, dry.body.outcome, dry.body.refusal.code],
      [200, 'would_refuse', 'no_workers'],
    )
  },

  async 'an error of a worker names it, and the decision'({ open }) {
    const rig = await open(
      { retries: 1, retryDelay: '1ms' },
      { [W1]: engine({ fault: 'path=/v1/chat; die-before-head' }) },
    )
    const reply = await rig.post(CHAT, chat())
    assert.equal(reply.status, 502)
    assert.equal(reply.headers.get('x-fetchway-worker'), (await rig.worker(W1)).id)
    const decision = await decisionOf(rig, reply)
    assert.deepEqual([decision.outcome, decision.attempts.length], ['failed', 2])
    assert.equal(decision.refusal.code, 'no_retry')
  },

  async 'a dry run tells where a call would go, sends nothing and changes nothing'({ open }) {
    const fleet = { [W1]: engine(), [W2]: engine() }
    const rig = await open({ policy: 'least_cost' }, fleet)
    await rig.post(CHAT, long())
    await rig.rests()
    // What an engine told of its load grows older meanwhile.
    const state = async () => (await rig.workers()).map(({ load: _load, ...rest }) => rest)
    const before = await state()
    const asked = [await rig.admin('POST', EXPLAIN, long()), await rig.admin('POST', EXPLAIN, long())]
    for (const { status, body } of asked) {
      assert.deepEqual([status, body.id, body.dry_run, body.outcome], [200, null, true, 'would_send'])
      assert.ok(body.predicted_cached_tokens > 400, 'the prompt is where it was sent before')
      assert.deepEqual(body.attempts.length, 1)
    }
    // Costs fade with time, for popularity does.
    const seen = ({ body }: Reply) => [
      body.worker,
      body.candidates.map((one: Json) => [one.worker, one.matched_tokens, one.tree_tokens, one.in_flight]),
    ]
    assert.deepEqual(seen(asked[0] as Reply), seen(asked[1] as Reply))
    await rig.admin('POST', EXPLAIN, long('Never seen before. '))
    assert.deepEqual(await state(), before)
    assert.equal(Object.values(fleet).flatMap(callsOf).length, 1)
    const real = await rig.post(CHAT, long())
    assert.equal(real.headers.get('x-fetchway-worker'), asked[0]?.body.worker)
    const decision = await decisionOf(rig, real)
    assert.equal(decision.predicted_cached_tokens, asked[0]?.body.predicted_cached_tokens)
  },

  async 'a dry run takes any request: by its path, by its looks, or with both around it'({ open }) {
    const rig = await open({ aliases: { name: 'm' } }, { [W1]: engine() })
    const text = 'All work and no play. '.repeat(50)
    const bodies: [string, unknown][] = [
      [EXPLAIN, { model: 'm', prompt: text }],
      [EXPLAIN, { model: 'm', input: text }],
      [`${EXPLAIN}?path=/v1/embeddings`, { model: 'name', input: text }],
      [`${EXPLAIN}?path=/v1/anything`, { model: 'm' }],
      [EXPLAIN, { path: '/v1/messages', body: { model: 'm', messages: [{ role: 'user', content: text }] } }],
      [EXPLAIN, { path: CHAT, headers: { 'x-session-id': 's', 'X-Priority': '-3' }, body: long() }],
    ]
    for (const [path, body] of bodies) {
      const reply = await rig.admin('POST', path, body)
      assert.deepEqual(
        [reply.status, reply.body.model, reply.body.outcome],
        [200, 'm', 'would_send'],
        reply.text,
      )
    }
    const [path, body] = bodies.at(-1) as [string, unknown]
    const { has_session, priority } = (await rig.admin('POST', path, body)).body
    assert.deepEqual([has_session, priority], [true, -3])
  },

  async 'a dry run is refused as the call would be'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const cases: [string, unknown, number, string][] = [
      [EXPLAIN, chat({ model: 'nope' }), 404, 'model_not_found'],
      [EXPLAIN, '{"model":', 400, 'invalid_json'],
      [EXPLAIN, chat({ model: 7 }), 400, 'invalid_model'],
      [`${EXPLAIN}?path=/elsewhere`, chat(), 404, 'not_found'],
      [EXPLAIN, { path: CHAT, headers: { 'a b': 'c' }, body: chat() }, 400, 'invalid_header'],
      [EXPLAIN, { path: 5, body: chat() }, 400, 'invalid_question'],
      [EXPLAIN, { path: CHAT, headers: [1], body: chat() }, 400, 'invalid_question'],
      [EXPLAIN, { path: CHAT, body: null }, 400, 'invalid_json'],
      [EXPLAIN, { path: CHAT, body: [chat()] }, 400, 'invalid_json'],
    ]
    for (const [path, body, status, code] of cases) {
      const reply = await rig.admin('POST', path, body)
      assert.deepEqual([reply.status, reply.body.error.code], [status, code], reply.text)
    }
  },

  async 'a dry run uses up nobody’s allowance'({ open }) {
    const apiKeys = [{ key: 'k', requestsPerMinute: 1 }]
    const rig = await open({ adminKey: 'root', apiKeys }, { [W1]: engine() })
    for (let round = 0; round < 3; round++)
      assert.equal((await rig.admin('POST', EXPLAIN, chat())).status, 200)
    const headers = { authorization: 'Bearer root', 'x-api-key': 'k' }
    for (let round = 0; round < 3; round++)
      assert.equal((await rig.ask(EXPLAIN, { body: chat(), headers })).status, 200)
    assert.equal((await rig.post(CHAT, chat(), { authorization: 'Bearer k' })).status, 200)
    for (const path of [`${DECISIONS}/d-x`, SHADOW])
      assert.equal((await rig.ask(path, { headers: { authorization: 'Bearer k' } })).status, 401)
    assert.equal((await rig.post(EXPLAIN, chat(), { authorization: 'Bearer k' })).status, 401)
  },

  async 'what was expected to be cached is held against what the engine tells'({ open }) {
    const rig = await open({ policy: 'least_cost' }, { [W1]: engine() })
    const { id } = await rig.worker(W1)
    const first = await decisionOf(rig, await rig.post(CHAT, long()))
    assert.deepEqual([first.predicted_cached_tokens, first.cached_tokens], [0, 0])
    const reply = await rig.post(CHAT, long())
    const second = await decisionOf(rig, reply)
    const told = reply.body.usage.prompt_tokens_details.cached_tokens as number
    assert.ok(told > 500)
    assert.equal(second.cached_tokens, told)
    assert.equal(second.prompt_tokens, reply.body.usage.prompt_tokens)
    assert.equal(second.prediction_error_tokens, second.predicted_cached_tokens - told)
    assert.ok(second.predicted_cached_tokens > 0.5 * told && second.predicted_cached_tokens < 1.5 * told)
    assert.equal(second.candidates[0].matched_tokens, second.predicted_cached_tokens)
    const label = `worker="${id}"`
    assert.equal(await rig.metric('fetchway_worker_cached_tokens_total', label), told)
    assert.equal(
      await rig.metric('fetchway_worker_predicted_cached_tokens_total', label),
      second.predicted_cached_tokens,
    )
    assert.equal(
      await rig.metric('fetchway_worker_prediction_error_tokens_total', label),
      Math.abs(second.prediction_error_tokens),
    )
    assert.equal(await rig.metric('fetchway_decision_seconds_count'), 2)
  },

  async 'no text of a prompt, session or answer is kept'({ open }) {
    const rig = await open(
      { policy: 'least_cost', shadowPolicy: 'least_load' },
      { [W1]: engine(), [W2]: engine() },
    )
    const body = long(SECRET, { user: 'user-Quetzalcoatl', tools: [] })
    const reply = await rig.post(CHAT, body, { 'x-session-id': 'session-Quetzalcoatl' })
    const decision = JSON.stringify(await decisionOf(rig, reply))
    const dry = await rig.admin('POST', EXPLAIN, body)
    for (const text of [decision, dry.text, (await rig.admin('GET', SHADOW)).text])
      assert.doesNotMatch(text, /Quetzalcoatl|All work|maiden/)
  },

  async 'the newest decisions are kept, and no more'({ open }) {
    const rig = await open({ decisions: 3 }, { [W1]: engine() })
    const replies: Reply[] = []
    for (let round = 0; round < 5; round++) replies.push(await rig.post(CHAT, chat()))
    const found = await Promise.all(
      replies.map(({ headers }) => rig.admin('GET', `${DECISIONS}/${headers.get('x-fetchway-decision')}`)),
    )
    assert.deepEqual(
      found.map(({ status }) => status),
      [404, 404, 200, 200, 200],
    )
    assert.equal(found[0]?.body.error.code, 'decision_not_found')
    assert.match(found[0]?.body.error.message, /the newest 3 are kept.*--decisions/)
  },

  async 'a shadow policy is told beside the first, and sends nothing'({ open }) {
    const fleet = { [W1]: engine(), [W2]: engine() }
    const rig = await open({ policy: 'round_robin', shadowPolicy: 'least_cost' }, fleet)
    for (let round = 0; round < 6; round++) await rig.post(CHAT, long())
    const { status, body } = await rig.admin('GET', SHADOW)
    assert.deepEqual([status, body.first.policy, body.shadow.policy], [200, 'round_robin', 'least_cost'])
    assert.equal(body.decisions, 6)
    const calls = (side: Json) => side.workers.map((one: Json) => one.calls as number)
    assert.deepEqual(calls(body.first), [3, 3])
    assert.deepEqual(calls(body.shadow), [6], 'it stays where the prompt is')
    assert.ok(body.shadow.predicted_hit_ratio > body.first.predicted_hit_ratio, JSON.stringify(body))
    assert.deepEqual([body.agreed, body.shadow.workers[0].call_share], [3, 1])
    assert.deepEqual(
      Object.values(fleet).map((one) => callsOf(one).length),
      [3, 3],
    )
    const side = (name: string) => rig.metric('fetchway_shadow_calls_total', `side="${name}"`)
    assert.deepEqual([await side('first'), await side('shadow')], [6, 6])
    assert.equal(await rig.metric('fetchway_shadow_agreed_total'), 3)
    const plain = await open({}, { [W3]: engine() })
    assert.equal((await plain.admin('GET', SHADOW)).body.error.code, 'no_shadow_policy')
  },

  'a shadow policy begins anew with another configuration': unless(
    'fixed-configuration',
    async ({ open }: Start) => {
      const rig = await open({ shadowPolicy: 'random' }, { [W1]: engine() })
      await rig.post(CHAT, chat())
      assert.equal((await rig.admin('GET', SHADOW)).body.decisions, 1)
      await rig.reload({ workers: [W1], shadowPolicy: 'least_cost' })
      assert.equal((await rig.admin('GET', SHADOW)).body.decisions, 0)
      await rig.reload({ workers: [W1] })
      assert.equal((await rig.admin('GET', SHADOW)).status, 404)
    },
  ),
}
