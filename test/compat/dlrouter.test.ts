// What clients and operators of DLRouter observe: statuses, bodies, node tables, and what its nodes get.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { dlrouter } from '../../src/dialects/dlrouter/index.ts'
import type { LogEvent } from '../../src/host.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { network } from '../journeys/_network.ts'
import { callsOf, CHAT, chat, engine, headerOf, W1, W2, W3, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat, type Spoken } from './_rig.ts'

const open = (t: TestContext, fleet: Fleet, more: Partial<Spoken> = {}): Promise<Compat> =>
  speak(t, dlrouter, { fleet, flags: '--backend vllm --disable_cache_status', ...more })

/** A router with all nodes of the fleet added. */
async function opened(t: TestContext, fleet: Fleet, more: Partial<Spoken> = {}): Promise<Compat> {
  const router = await open(t, fleet, more)
  for (const url of Object.keys(fleet)) await router.post('/nodes/add', { url })
  return router
}

const flagsWith = (more: string) => ({ flags: `--backend vllm --disable_cache_status ${more}` })

/** The node that each of so many chats went to. */
async function nodesOf(
  router: Compat,
  fleet: Fleet,
  bodies: readonly object[],
  headers = {},
): Promise<string[]> {
  const nodes: string[] = []
  for (const body of bodies) {
    const before = new Map(Object.entries(fleet).map(([url, node]) => [url, callsOf(node as Engine).length]))
    await router.post(CHAT, body, headers)
    const hit = Object.entries(fleet).find(
      ([url, node]) => callsOf(node as Engine).length > (before.get(url) ?? 0),
    )
    nodes.push(hit?.[0] ?? 'none')
  }
  return nodes
}

test('/health is ok without any node', async (t) => {
  const { status, body } = await (await open(t, {})).ask('/health')
  assert.equal(status, 200)
  assert.deepEqual(body, { status: 'ok' })
})

test('a node is added, serves at once, is shown, and is removed', async (t) => {
  const router = await open(t, { [W1]: engine() })
  const added = await router.post('/nodes/add', { url: W1 })
  assert.deepEqual([added.status, added.body], [200, { message: 'Added successfully.' }])
  const fresh = await router.ask('/nodes/status')
  assert.deepEqual(fresh.body, {
    [W1]: { role: 1, models: ['m'], zmq_address: null, unfinished: 0, latency: [], speed: null },
  })
  assert.equal((await router.post(CHAT, chat())).status, 200)
  const used = (await router.ask('/nodes/status')).body[W1]
  assert.equal(used.unfinished, 0)
  assert.equal(used.latency.length, 1)
  assert.ok(used.latency[0] > 0 && used.latency[0] < 5)
  const removed = await router.post('/nodes/remove', { url: W1 })
  assert.deepEqual([removed.status, removed.body], [200, { message: 'Removed successfully.' }])
  assert.deepEqual((await router.ask('/nodes/status')).body, {})
  assert.equal((await router.post('/nodes/remove', { url: W1 })).status, 200)
})

test('a status that names models needs no question to the node', async (t) => {
  const node = engine()
  const router = await open(t, { [W1]: node })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'], role: 1, speed: 3 } })
  const { models, speed } = (await router.ask('/nodes/status')).body[W1]
  assert.deepEqual({ models, speed }, { models: ['m'], speed: 3 })
  assert.match((await router.ask('/nodes/status')).text, /"speed":3\.0/)
})

test('roles are numbers, or names', async (t) => {
  const router = await open(t, {})
  for (const [role, number] of [
    [2, 2],
    [3, 3],
    ['PREFILL', 2],
    ['decode', 3],
    ['HYBRID', 1],
  ] as const) {
    await router.post('/nodes/add', { url: W1, status: { models: ['m'], role } })
    assert.equal((await router.ask('/nodes/status')).body[W1].role, number)
  }
  const wrong = await router.post('/nodes/add', { url: W1, status: { role: 4 } })
  assert.equal(wrong.status, 422)
  assert.deepEqual(wrong.body.detail[0].loc, ['body', 'status', 'role'])
  assert.equal(wrong.body.detail[0].msg, 'Input should be 1, 2 or 3')
})

for (const [body, type, loc] of [
  [{}, 'missing', ['body', 'url']],
  [{ url: 3 }, 'string_type', ['body', 'url']],
  ['{', 'json_invalid', ['body', 0]],
  ['', 'missing', ['body']],
  [[], 'model_attributes_type', ['body']],
  [{ url: W1, status: [] }, 'model_attributes_type', ['body', 'status']],
  [{ url: W1, status: { models: 'm' } }, 'list_type', ['body', 'status', 'models']],
  [{ url: W1, status: { speed: 'fast' } }, 'float_type', ['body', 'status', 'speed']],
  [{ url: W1, status: { unfinished: 'no' } }, 'int_type', ['body', 'status', 'unfinished']],
  [{ url: W1, status: { latency: 0.5 } }, 'deque_type', ['body', 'status', 'latency']],
] as const)
  test(`/nodes/add refuses ${JSON.stringify(body)} as ${type}`, async (t) => {
    const { status, body: answer } = await (await open(t, {})).post('/nodes/add', body)
    assert.equal(status, 422)
    assert.equal(answer.detail[0].type, type)
    assert.deepEqual(answer.detail[0].loc, loc)
  })

test('a URL that is none is not added; strictly with 200', async (t) => {
  const error = { error: 'Failed to add node. Check the URL and try again.' }
  const plain = await (await open(t, {})).post('/nodes/add', { url: 'http://a b' })
  assert.deepEqual([plain.status, plain.body], [400, error])
  const strict = await (await open(t, {}, { isStrict: true })).post('/nodes/add', { url: 'http://a b' })
  assert.deepEqual([strict.status, strict.body], [200, error])
})

test('a node that still starts is added, and serves when it has a model', async (t) => {
  const node = engine()
  node.kill()
  const router = await open(t, { [W1]: node })
  assert.equal((await router.post('/nodes/add', { url: W1 })).status, 200)
  assert.deepEqual((await router.ask('/nodes/status')).body[W1].models, [])
  node.revive()
  await router.until(
    async () => (await router.ask('/nodes/status')).body[W1].models.length > 0,
    'its models were never found',
  )
  assert.equal((await router.post(CHAT, chat())).status, 200)
})

test('models are listed once each, with permissions', async (t) => {
  const router = await opened(t, { [W1]: engine(), [W2]: engine() })
  const { data, object } = (await router.ask('/v1/models')).body
  assert.equal(object, 'list')
  assert.equal(data.length, 1)
  const { id, owned_by, root, parent, permission } = data[0]
  assert.deepEqual({ id, owned_by, root, parent }, { id: 'm', owned_by: 'dlrouter', root: 'm', parent: null })
  assert.match(permission[0].id, /^modelperm-\w{22}$/)
  assert.equal(permission[0].allow_sampling, true)
})

test('a model that nobody has is named in single quotes', async (t) => {
  const router = await opened(t, { [W1]: engine() })
  const { status, body } = await router.post(CHAT, chat({ model: 'nope' }))
  assert.equal(status, 404)
  assert.deepEqual(body, {
    error: { message: "Model 'nope' not found.", type: 'invalid_request_error', code: 'model_not_found' },
  })
})

test('without any node no model exists', async (t) => {
  const logged: LogEvent[] = []
  const router = await open(t, {}, { log: (event) => logged.push(event) })
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 404)
  assert.equal(body.error.message, "Model 'm' not found.")
  const told = logged.find(({ message }) => message === 'call refused')
  assert.equal(told?.['status'], 404, 'the log says what the client got')
})

test('a vLLM pair that is not whole is told in its own words', async (t) => {
  const flags = '--backend vllm --serving_strategy distserve --disable_cache_status'
  const router = await open(t, { [W1]: engine() }, { flags })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'], role: 2 } })
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 503)
  assert.deepEqual(body, { error: 'No prefill or decode instances available' })
})

test('a node that died is a 502 with its code', async (t) => {
  const node = engine()
  const router = await opened(t, { [W1]: node })
  node.kill()
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 502)
  assert.deepEqual(body, { error_code: 10403, text: 'Backend inference engine returned an error.' })
})

test('bodies and headers pass as they are, and so does what the engine says', async (t) => {
  const node = engine()
  const router = await opened(t, { [W1]: node })
  await router.post(CHAT, chat({ min_p: 0.1, guided_json: {} }), {
    'x-trace': 'abc',
    authorization: 'Bearer k',
  })
  const [got] = callsOf(node)
  assert.deepEqual(JSON.parse(got?.body ?? ''), chat({ min_p: 0.1, guided_json: {} }))
  assert.equal(headerOf(got, 'x-trace'), 'abc')
  assert.equal(headerOf(got, 'authorization'), 'Bearer k')
  const router2 = await opened(t, { [W1]: engine({ fault: 'status=400' }) })
  assert.equal((await router2.post(CHAT, chat())).status, 400)
})

test('streams end as the engine ends them', async (t) => {
  const router = await opened(t, { [W1]: engine() })
  const { text, headers } = await router.post(CHAT, chat({ stream: true }))
  assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.doesNotMatch(text, /\n\n\n/)
  assert.match(text, /data: \[DONE\]\n\n$/)
})

test('with keys everything but /health asks for one', async (t) => {
  const router = await open(t, { [W1]: engine() }, flagsWith('--api_keys one,two'))
  for (const path of ['/v1/models', '/nodes/status']) {
    const none = await router.ask(path)
    assert.deepEqual([none.status, none.body], [401, { detail: 'API key required.' }])
    const wrong = await router.ask(path, { headers: { authorization: 'Bearer else' } })
    assert.deepEqual([wrong.status, wrong.body], [403, { detail: 'Invalid API key.' }])
    for (const key of ['one', 'two'])
      assert.equal((await router.ask(path, { headers: { authorization: `Bearer ${key}` } })).status, 200)
  }
  assert.equal((await router.ask('/health')).status, 200)
  assert.equal((await router.post(CHAT, chat())).status, 401)
})

test('what is not there is a 404 with a detail, a wrong method a 405', async (t) => {
  const router = await open(t, {})
  const missing = await router.ask('/nothing')
  assert.deepEqual([missing.status, missing.body], [404, { detail: 'Not Found' }])
  for (const [method, path] of [
    ['GET', '/nodes/add'],
    ['POST', '/nodes/status'],
  ] as const) {
    const { status, body } = await router.ask(path, { method })
    assert.deepEqual([status, body], [405, { detail: 'Method Not Allowed' }])
  }
})

/** An engine that can be told to end. */
function ending(): { readonly node: Engine; readonly asked: string[] } {
  const node = engine()
  const asked: string[] = []
  const fetch = (request: Request) => {
    if (new URL(request.url).pathname !== '/terminate') return node.fetch(request)
    asked.push(request.method)
    return Promise.resolve(Response.json('ok'))
  }
  return { node: { ...node, fetch }, asked }
}

test('a node is told to end and leaves; one that does not know how stays', async (t) => {
  const { node, asked } = ending()
  const router = await opened(t, { [W1]: node, [W2]: engine() })
  const good = await router.post('/nodes/terminate', { url: W1 })
  assert.deepEqual([good.status, good.body], [200, { message: 'Terminated successfully.' }])
  assert.deepEqual(asked, ['GET'])
  const bad = await router.post('/nodes/terminate', { url: W2 })
  assert.deepEqual([bad.status, bad.body], [502, { error: `Failed to terminate ${W2}` }])
  assert.deepEqual(Object.keys((await router.ask('/nodes/status')).body), [W2])
})

test('strictly a node that does not know how to end goes as well, and the failure comes with 200', async (t) => {
  const router = await opened(t, { [W1]: engine() }, { isStrict: true })
  const { status, body } = await router.post('/nodes/terminate', { url: W1 })
  assert.deepEqual([status, body], [200, { error: `Failed to terminate ${W1}` }])
  assert.deepEqual((await router.ask('/nodes/status')).body, {})
})

test('all are told to end', async (t) => {
  const all = await opened(t, { [W1]: ending().node, [W2]: ending().node })
  const good = await all.ask('/nodes/terminate_all', { method: 'POST' })
  assert.deepEqual([good.status, good.body], [200, { message: 'All nodes terminated.' }])
  assert.deepEqual((await all.ask('/nodes/status')).body, {})
  const some = await opened(t, { [W1]: ending().node, [W2]: engine() })
  const bad = await some.ask('/nodes/terminate_all', { method: 'POST' })
  assert.deepEqual([bad.status, bad.body], [502, { error: 'Some nodes failed to terminate.' }])
})

test('a node that fails its checks in a row leaves, after as many as were asked for', async (t) => {
  const node = engine()
  const environment = { DLROUTER_HEARTBEAT_EXPIRATION: '10', DLROUTER_HEALTH_CHECK_MAX_FAILURES: '3' }
  const router = await open(t, { [W1]: node }, { movesClock: true, environment })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'] } })
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) await router.pass(1000)
  }
  const isThere = async () => W1 in (await router.ask('/nodes/status')).body
  await pass(3)
  node.kill()
  await pass(25)
  assert.equal(await isThere(), true)
  await pass(12)
  assert.equal(await isThere(), false)
})

const three = (): Fleet => ({ [W1]: engine(), [W2]: engine(), [W3]: engine() })
const same = (count: number, body: object) => Array.from({ length: count }, () => body)

test('round_robin takes each in turn, by sorted URLs', async (t) => {
  const fleet = { [W3]: engine(), [W1]: engine(), [W2]: engine() }
  const router = await opened(t, fleet, flagsWith('--routing_strategy round_robin'))
  const nodes = await nodesOf(router, fleet, same(6, chat()))
  assert.deepEqual(nodes, [W1, W2, W3, W1, W2, W3])
})

test('random goes by speed; nodes without one count as the mean', async (t) => {
  const fleet = three()
  const router = await open(t, fleet, flagsWith('--routing_strategy random'))
  for (const [url, speed] of [
    [W1, 30],
    [W2, 1],
    [W3, undefined],
  ] as const)
    await router.post('/nodes/add', { url, status: { models: ['m'], speed } })
  const nodes = await nodesOf(router, fleet, same(300, chat()))
  const count = (url: string) => nodes.filter((node) => node === url).length
  assert.ok(count(W1) > count(W3) && count(W3) > count(W2), nodes.join())
})

test('min_expected_latency takes the fewest calls for its speed', async (t) => {
  const slow = engine({ speed: 1, stepMs: 30 })
  const fleet = { [W1]: slow, [W2]: engine() }
  const router = await open(t, fleet, flagsWith('--routing_strategy min_expected_latency'))
  for (const [url, speed] of [
    [W1, 10],
    [W2, 1],
  ] as const)
    await router.post('/nodes/add', { url, status: { models: ['m'], speed } })
  const calls = Array.from({ length: 4 }, () => router.post(CHAT, chat({ max_tokens: 4 })))
  await Promise.all(calls)
  // Three or four of ten times the speed cost less than one at the slow node.
  assert.ok(callsOf(slow).length >= 3)
})

test('min_expected_latency stays away from a node that was added with calls of others, until it is added anew', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine() }
  const router = await opened(t, fleet, flagsWith('--routing_strategy min_expected_latency'))
  const add = (more: object) => router.post('/nodes/add', { url: W1, status: { models: ['m'], ...more } })
  const shown = async () => (await router.ask('/nodes/status')).body[W1]
  await add({ unfinished: 50, latency: [0.5, 0.25] })
  assert.deepEqual((await shown()).latency, [0.5, 0.25])
  assert.deepEqual(new Set(await nodesOf(router, fleet, same(8, chat()))), new Set([W2]))
  assert.equal((await shown()).unfinished, 50)
  await add({})
  assert.deepEqual([(await shown()).unfinished, (await shown()).latency], [0, []])
  assert.ok((await nodesOf(router, fleet, same(30, chat()))).includes(W1))
})

test('min_observed_latency goes by the times that a node was added with', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine() }
  const router = await open(t, fleet, flagsWith('--routing_strategy min_observed_latency'))
  for (const [url, seconds] of [
    [W1, 60],
    [W2, 0.01],
  ] as const)
    await router.post('/nodes/add', { url, status: { models: ['m'], unfinished: 1, latency: [seconds] } })
  assert.deepEqual(new Set(await nodesOf(router, fleet, same(6, chat()))), new Set([W2]))
})

test('min_observed_latency leaves the slow one alone', async (t) => {
  const fleet = { [W1]: engine({ speed: 1, stepMs: 100 }), [W2]: engine() }
  const router = await opened(t, fleet, flagsWith('--routing_strategy min_observed_latency'))
  await Promise.all(Array.from({ length: 6 }, () => router.post(CHAT, chat({ max_tokens: 4 }))))
  const before = callsOf(fleet[W1] as Engine).length
  await Promise.all(Array.from({ length: 3 }, () => router.post(CHAT, chat({ max_tokens: 4 }))))
  assert.ok(callsOf(fleet[W1] as Engine).length - before <= 1)
})

test('consistent_hash keeps a key with its node, by header, then by field, then by body', async (t) => {
  const fleet = three()
  const router = await opened(t, fleet, flagsWith('--routing_strategy consistent_hash'))
  for (const headers of [{ 'x-session-id': 's' }, { 'x-user-id': 'u' }, { 'x-trace-id': 't' }])
    assert.equal(new Set(await nodesOf(router, fleet, [chat(), chat({ n: 2 })], headers)).size, 1)
  const users = await nodesOf(router, fleet, [chat({ user: 'a' }), chat({ user: 'a', n: 2 })])
  assert.equal(new Set(users).size, 1)
  const bodies = Array.from({ length: 12 }, (_, i) => chat({ messages: [{ role: 'user', content: `${i}` }] }))
  assert.ok(new Set(await nodesOf(router, fleet, bodies)).size > 1)
  assert.deepEqual(await nodesOf(router, fleet, bodies), await nodesOf(router, fleet, bodies))
})

test('prefix_cache keeps beginnings with their node, short ones too, and spreads the rest', async (t) => {
  const fleet = three()
  const router = await opened(t, fleet, flagsWith('--routing_strategy prefix_cache'))
  const about = (content: string) => chat({ messages: [{ role: 'user', content }] })
  const first = await nodesOf(router, fleet, same(4, about('Tell me of whales.')))
  assert.equal(new Set(first).size, 1)
  const longer = await nodesOf(router, fleet, [about('Tell me  of whales.\nAnd ships')])
  assert.deepEqual(longer, [first[0]])
  const others = ['Alpha one', 'Beta two', 'Gamma three', 'Delta four', 'Epsilon five', 'Zeta six'].map(about)
  assert.ok(new Set(await nodesOf(router, fleet, others)).size > 1)
})

test('prefix_cache takes one equal character for a match when it is strict, and half a beginning otherwise', async (t) => {
  const about = (content: string) => chat({ messages: [{ role: 'user', content }] })
  const bodies = ['Axxxxxxxxx', 'Ayyyyyyyyy', 'Azzzzzzzzz'].map(about)
  const counts: number[] = []
  for (const isStrict of [true, false]) {
    const fleet = three()
    const router = await opened(t, fleet, { ...flagsWith('--routing_strategy prefix_cache'), isStrict })
    counts.push(new Set(await nodesOf(router, fleet, bodies)).size)
  }
  assert.deepEqual(counts, [1, 3])
})

/** A pair of nodes that reach each other, behind a router that knows them by its command line. */
async function paired(t: TestContext, backend: 'vllm' | 'sglang', more = '') {
  const fleet: Record<string, Engine> = {}
  const reach = (url: unknown, init?: RequestInit) => network(fleet)(String(url), init ?? {})
  const by = { engine: backend, fetch: reach as typeof globalThis.fetch, handoverTimeout: 200 }
  const p = (fleet[W1] = engine({ ...by, role: 'prefill' }))
  const d = (fleet[W2] = engine({ ...by, role: 'decode' }))
  const flags = `--backend ${backend} --serving_strategy distserve --prefill_urls ${W1} --decode_urls ${W2} --models m --disable_cache_status ${more}`
  return { router: await open(t, fleet, { flags }), p, d }
}

test('vLLM: prefill first, one token, one id that names both; decode with what prefill handed over', async (t) => {
  const { router, p, d } = await paired(t, 'vllm')
  const { status } = await router.post(CHAT, chat({ max_tokens: 5 }))
  const [first, second] = [callsOf(p)[0], callsOf(d)[0]]
  assert.ok(first && second, `status ${status}`)
  const prefill = JSON.parse(first.body)
  assert.equal(prefill.stream, false)
  assert.equal(prefill.max_tokens, 1)
  assert.equal(prefill.kv_transfer_params.do_remote_decode, true)
  const id = headerOf(first, 'x-request-id')
  assert.match(id ?? '', /^___prefill_addr_w1:8000___decode_addr_w2:8000_[0-9a-f]{32}$/)
  assert.equal(headerOf(second, 'x-request-id'), id)
  const decode = JSON.parse(second.body)
  assert.equal(decode.max_tokens, 5)
  assert.equal(typeof decode.kv_transfer_params, 'object')
})

test('SGLang: both at once with host, port and room', async (t) => {
  const { router, p, d } = await paired(t, 'sglang', '--prefill_bootstrap_ports 9001')
  await router.post(CHAT, chat())
  const [first, second] = [JSON.parse(callsOf(p)[0]?.body ?? '{}'), JSON.parse(callsOf(d)[0]?.body ?? '{}')]
  assert.equal(first.bootstrap_host, 'w1')
  assert.equal(first.bootstrap_port, 9001)
  assert.ok(first.bootstrap_room >= 0)
  assert.equal(second.bootstrap_room, first.bootstrap_room)
})

test('without a decode node the service is unavailable', async (t) => {
  const flags = '--backend lmdeploy --serving_strategy distserve --disable_cache_status'
  const router = await open(t, { [W1]: engine({ engine: 'lmdeploy' }) }, { flags })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'], role: 2 } })
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 503)
  assert.equal(body.error_code, 10401)
})
