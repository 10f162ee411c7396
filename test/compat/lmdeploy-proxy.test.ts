// What clients, operators and engines observe of LMDeploy's proxy: strings, flat errors, node tables, introductions.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { lmdeployProxy } from '../../src/dialects/lmdeploy-proxy/index.ts'
import type { Engine, EngineOptions } from '../../src/simulator/engine.ts'
import { network } from '../journeys/_network.ts'
import { callsOf, CHAT, chat, engine, headerOf, W1, W2, W3, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat, type Spoken } from './_rig.ts'

const lmdeploy = (more: Partial<EngineOptions> = {}) => engine({ engine: 'lmdeploy', ...more })

const open = (t: TestContext, fleet: Fleet, more: Partial<Spoken> = {}): Promise<Compat> =>
  speak(t, lmdeployProxy, { fleet, flags: '--disable-cache-status', ...more })

/** A router at which all engines of the fleet registered themselves. */
async function opened(t: TestContext, fleet: Fleet, more: Partial<Spoken> = {}): Promise<Compat> {
  const router = await open(t, fleet, more)
  for (const url of Object.keys(fleet))
    await router.post('/nodes/add', { url, status: { models: ['m'], role: 1 } })
  return router
}

test('a node registers, is shown without a second address, and is removed', async (t) => {
  const router = await open(t, { [W1]: lmdeploy() })
  const added = await router.post('/nodes/add', { url: W1, status: { models: ['m'], role: 1, speed: 2 } })
  assert.deepEqual([added.status, added.text], [200, '"Added successfully"'])
  const { body, text } = await router.ask('/nodes/status')
  assert.deepEqual(body, { [W1]: { role: 1, models: ['m'], unfinished: 0, latency: [], speed: 2 } })
  assert.match(text, /"speed":2[,}]/)
  const removed = await router.post('/nodes/remove', { url: W1 })
  assert.deepEqual([removed.status, removed.text], [200, '"Deleted successfully"'])
  assert.deepEqual((await router.ask('/nodes/status')).body, {})
})

test('a node without a status is asked for its models', async (t) => {
  const router = await open(t, { [W1]: lmdeploy() })
  assert.equal((await router.post('/nodes/add', { url: W1 })).text, '"Added successfully"')
  assert.deepEqual((await router.ask('/nodes/status')).body[W1].models, ['m'])
})

test('a node that does not answer is told with a code, and is not added', async (t) => {
  const router = await open(t, { [W1]: null })
  const { status, body } = await router.post('/nodes/add', { url: W1 })
  assert.equal(status, 200)
  assert.equal(body, '{"error_code": 10402, "text": "Failed to get response after a period of time"}\n')
  assert.deepEqual((await router.ask('/nodes/status')).body, {})
})

test('a URL that is none is told', async (t) => {
  const { body } = await (await open(t, {})).post('/nodes/add', { url: 'http://a b' })
  assert.equal(body, 'Failed to add, please check the input url.')
})

test('a URL in the query will do to remove a node', async (t) => {
  const router = await opened(t, { [W1]: lmdeploy() })
  const { text } = await router.ask(`/nodes/remove?node_url=${encodeURIComponent(W1)}`, { method: 'POST' })
  assert.equal(text, '"Deleted successfully"')
  assert.deepEqual((await router.ask('/nodes/status')).body, {})
})

test('bodies must say that they are JSON', async (t) => {
  const router = await open(t, {})
  for (const path of ['/nodes/add', '/nodes/remove', '/nodes/terminate']) {
    const { status, body } = await router.post(path, '{}', { 'content-type': 'text/plain' })
    assert.equal(status, 422)
    assert.deepEqual(body, { detail: ["Unsupported Media Type: Only 'application/json' is allowed"] })
  }
})

/** An engine that ends when it is told to. */
function ending(): Engine {
  const node = lmdeploy()
  const fetch = (request: Request) =>
    new URL(request.url).pathname === '/terminate'
      ? Promise.resolve(Response.json('ok'))
      : node.fetch(request)
  return { ...node, fetch }
}

test('nodes are told to end, one or all, all by GET or POST', async (t) => {
  const router = await opened(t, { [W1]: ending(), [W2]: lmdeploy() })
  const one = await router.post('/nodes/terminate', { url: W1 })
  assert.equal(one.body, 'Terminated successfully')
  const other = await router.post('/nodes/terminate', { url: W2 })
  assert.equal(other.body, `Failed to terminate node ${W2}`)
  for (const method of ['GET', 'POST']) {
    const fails = await router.ask('/nodes/terminate_all', { method })
    assert.equal(fails.body, 'Failed to terminate all nodes')
    const all = await opened(t, { [W1]: ending() })
    assert.equal(
      (await all.ask('/nodes/terminate_all', { method })).body,
      'All nodes terminated successfully',
    )
    assert.deepEqual((await all.ask('/nodes/status')).body, {})
  }
})

test('models are cards of lmdeploy, once each', async (t) => {
  const router = await opened(t, { [W1]: lmdeploy(), [W2]: lmdeploy() })
  const { data } = (await router.ask('/v1/models')).body
  assert.equal(data.length, 1)
  assert.equal(data[0].owned_by, 'lmdeploy')
  assert.equal(data[0].permission.length, 1)
})

test('a model that nobody has is a flat error', async (t) => {
  const router = await opened(t, { [W1]: lmdeploy() })
  const { status, body } = await router.post(CHAT, chat({ model: 'x' }))
  assert.equal(status, 404)
  assert.deepEqual(body, {
    message: "The model 'x' does not exist.",
    type: 'not_found_error',
    code: 404,
    param: null,
    object: 'error',
  })
})

test('without any node no model exists', async (t) => {
  const { status, body } = await (await open(t, {})).post(CHAT, chat())
  assert.deepEqual([status, body.message], [404, "The model 'm' does not exist."])
})

test('keys are asked for inference, not for nodes: engines register without one', async (t) => {
  const router = await open(t, { [W1]: lmdeploy() }, { flags: '--disable-cache-status --api-keys one two' })
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 401)
  assert.equal(body.type, 'authentication_error')
  assert.equal(body.code, 401)
  assert.equal((await router.post('/nodes/add', { url: W1 })).text, '"Added successfully"')
  for (const key of ['one', 'two'])
    assert.equal((await router.post(CHAT, chat(), { authorization: `Bearer ${key}` })).status, 200)
})

test('bodies, headers and what the engine says pass as they are, whether it streams or not', async (t) => {
  const node = lmdeploy()
  const router = await opened(t, { [W1]: node })
  await router.post(CHAT, chat({ foo: [1] }), { 'x-trace': 'abc' })
  const [got] = callsOf(node)
  assert.deepEqual(JSON.parse(got?.body ?? ''), chat({ foo: [1] }))
  assert.equal(headerOf(got, 'x-trace'), 'abc')
  assert.equal(headerOf(got, 'x-forwarded-host'), 'router')
  assert.equal(headerOf(got, 'x-forwarded-proto'), 'http')
  const failing = await opened(t, { [W1]: lmdeploy({ fault: 'status=400' }) })
  for (const stream of [false, true]) assert.equal((await failing.post(CHAT, chat({ stream }))).status, 400)
})

test('a node that fails one check leaves', async (t) => {
  const node = lmdeploy()
  const environment = { LMDEPLOY_CONTROLLER_HEART_BEAT_EXPIRATION: '10' }
  const router = await open(t, { [W1]: node }, { movesClock: true, environment })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'] } })
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) await router.pass(1000)
  }
  await pass(3)
  node.kill()
  assert.ok(W1 in (await router.ask('/nodes/status')).body)
  await pass(14)
  assert.deepEqual((await router.ask('/nodes/status')).body, {})
})

test('min_observed_latency keeps to the fastest, and tries each', async (t) => {
  const slow = lmdeploy({ speed: 1, prefillTokensPerSecond: 60 })
  const fast = lmdeploy()
  const flags = '--disable-cache-status --routing-strategy min_observed_latency'
  const router = await opened(t, { [W1]: slow, [W2]: fast }, { flags })
  for (let i = 0; i < 5; i++) await router.post(CHAT, chat({ max_tokens: 4 }))
  assert.equal(callsOf(slow).length, 1)
  assert.equal(callsOf(fast).length, 4)
})

test('random spreads by speed', async (t) => {
  const fleet = { [W1]: lmdeploy(), [W2]: lmdeploy() }
  const router = await open(t, fleet, { flags: '--disable-cache-status --routing-strategy random' })
  for (const [url, speed] of [
    [W1, 9],
    [W2, 1],
  ] as const)
    await router.post('/nodes/add', { url, status: { models: ['m'], speed } })
  for (let i = 0; i < 40; i++) await router.post(CHAT, chat({ max_tokens: 1 }))
  assert.ok(callsOf(fleet[W1]).length > 25)
  assert.ok(callsOf(fleet[W2]).length < 15)
})

/** Prefill and decode engines that reach each other, registered as engines do. */
async function served(t: TestContext, more = '') {
  const fleet: Record<string, Engine> = {}
  const reach = (url: unknown, init?: RequestInit) => network(fleet)(String(url), init ?? {})
  const by = { fetch: reach as typeof globalThis.fetch, handoverTimeout: 200 }
  const p = (fleet[W1] = lmdeploy({ ...by, role: 'prefill' }))
  const d = (fleet[W2] = lmdeploy({ ...by, role: 'decode' }))
  const flags = `--disable-cache-status --serving-strategy DistServe ${more}`
  const router = await open(t, fleet, { flags })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'], role: 2 } })
  await router.post('/nodes/add', { url: W2, status: { models: ['m'], role: 3 } })
  return { router, p, d }
}

const pathsOf = (node: Engine) => callsOf(node).map(({ path }) => path)
const bodyOf = (node: Engine, path: string) =>
  JSON.parse(callsOf(node).find((call) => call.path === path)?.body ?? '{}')

test('DistServe: engines are introduced, prefill hands over, decode answers', async (t) => {
  const { router, p, d } = await served(t, '--migration-protocol NVLINK --link-type IB --disable-gdr')
  const { status } = await router.post(CHAT, chat({ max_tokens: 5 }))
  assert.equal(status, 200)
  assert.ok(pathsOf(p).includes('/distserve/p2p_initialize'))
  assert.ok(pathsOf(d).includes('/distserve/p2p_connect'))
  const met = bodyOf(p, '/distserve/p2p_initialize')
  assert.equal(met.protocol, 3)
  assert.deepEqual(met.rdma_config, { with_gdr: false, link_type: 1 })
  const prefill = bodyOf(p, CHAT)
  assert.equal(prefill.max_tokens, 1)
  assert.equal(prefill.with_cache, true)
  assert.equal(prefill.preserve_cache, true)
  const { migration_request: migration } = bodyOf(d, CHAT)
  assert.equal(migration.remote_engine_id, W1)
  assert.equal(migration.is_dummy_prefill, false)
})

test('DistServe: --dummy-prefill leaves prefill out', async (t) => {
  const { router, p, d } = await served(t, '--dummy-prefill')
  await router.post(CHAT, chat())
  assert.equal(pathsOf(p).includes(CHAT), false)
  assert.equal(bodyOf(d, CHAT).migration_request.is_dummy_prefill, true)
})

test('DistServe: more than one answer is refused', async (t) => {
  const { router } = await served(t)
  const { status, body } = await router.post(CHAT, chat({ n: 2 }))
  assert.equal(status, 400)
  assert.equal(body.message, 'n > 1 is not supported with the DistServe serving strategy.')
})

test('all engines are introduced by a warm-up', async (t) => {
  const { router, p, d } = await served(t)
  const { status, body } = await router.ask('/distserve/connection_warmup', { method: 'POST' })
  assert.deepEqual([status, body], [200, { SUCCESS: true }])
  for (const node of [p, d]) assert.ok(pathsOf(node).includes('/distserve/p2p_connect'))
})

test('a decode node that is removed is dropped by those that knew it', async (t) => {
  const { router, p, d } = await served(t)
  await router.ask('/distserve/connection_warmup', { method: 'POST' })
  await router.post('/nodes/remove', { url: W2 })
  await router.until(() => pathsOf(p).includes('/distserve/p2p_drop_connect'), 'never dropped')
  assert.equal(bodyOf(d, '/distserve/p2p_drop_connect').remote_engine_id, W1)
})

test('what is not there is a 404, a wrong method a 405', async (t) => {
  const router = await open(t, { [W3]: lmdeploy() })
  assert.deepEqual((await router.ask('/nothing')).body, { detail: 'Not Found' })
  assert.equal((await router.ask('/nodes/add')).status, 405)
})
