// What clients of Distributed-LLM-Router observe: statuses, bodies, headers, metrics, and what its nodes get.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { distributedLlmRouter } from '../../src/dialects/distributed-llm-router/index.ts'
import { callsOf, CHAT, chat, engine, headerOf, W1, W2, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat } from './_rig.ts'

const TOKEN = 'your-secret-token-here'
/** A version 4 UUID. */
const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const AUTH = { authorization: `Bearer ${TOKEN}` }

function open(
  t: TestContext,
  fleet: Fleet,
  environment: Readonly<Record<string, string>> = {},
  more: { readonly movesClock?: boolean; readonly isStrict?: boolean } = {},
): Promise<Compat> {
  const nodes = { VLLM_NODES: Object.keys(fleet).join(','), MODEL_NAME: 'm' }
  return speak(t, distributedLlmRouter, { fleet, environment: { ...nodes, ...environment }, ...more })
}

test('/health names model, nodes and strategy without a token', async (t) => {
  const router = await open(t, { [W1]: engine(), [W2]: null })
  const { status, body, headers } = await router.ask('/health')
  assert.equal(status, 200)
  assert.deepEqual(body, {
    status: 'ok',
    model: 'm',
    upstream_nodes: [W1, W2],
    routing_strategy: 'least_loaded',
  })
  assert.match(headers.get('x-request-id') ?? '', UUID4)
})

test('a call without an id gets one that goes to its node and comes back', async (t) => {
  const node = engine()
  const router = await open(t, { [W1]: node })
  const { headers } = await router.post(CHAT, chat(), AUTH)
  const id = headers.get('x-request-id') ?? ''
  assert.match(id, UUID4)
  assert.equal(headerOf(callsOf(node)[0], 'x-request-id'), id)
})

test('an answer names its node and keeps the id; the node gets id and token', async (t) => {
  const node = engine()
  const router = await open(t, { [W1]: node })
  const { status, headers } = await router.post(CHAT, chat(), { ...AUTH, 'x-request-id': 'mine' })
  assert.equal(status, 200)
  assert.equal(headers.get('x-routed-node'), W1)
  assert.equal(headers.get('x-request-id'), 'mine')
  const [got] = callsOf(node)
  assert.equal(headerOf(got, 'x-request-id'), 'mine')
  assert.equal(headerOf(got, 'authorization'), `Bearer ${TOKEN}`)
})

test('a call that names no model is for MODEL_NAME', async (t) => {
  const node = engine()
  const router = await open(t, { [W1]: node })
  for (const body of [{ messages: chat().messages }, { ...chat(), model: null }]) {
    assert.equal((await router.post(CHAT, body, AUTH)).status, 200)
    assert.equal(JSON.parse(callsOf(node).at(-1)?.body ?? '').model, 'm')
  }
})

test('fields that it does not know reach the node', async (t) => {
  const node = engine()
  const router = await open(t, { [W1]: node })
  await router.post(CHAT, chat({ top_k: 7, chat_template_kwargs: { enable_thinking: false } }), AUTH)
  const got = JSON.parse(callsOf(node)[0]?.body ?? '')
  assert.equal(got.top_k, 7)
  assert.deepEqual(got.chat_template_kwargs, { enable_thinking: false })
})

for (const [headers, message] of [
  [{}, 'Missing bearer token'],
  [{ authorization: 'Basic x' }, 'Missing bearer token'],
  [{ authorization: 'Bearer wrong' }, 'Invalid bearer token'],
] as const)
  test(`a call with ${JSON.stringify(headers)} is told: ${message}`, async (t) => {
    const router = await open(t, { [W1]: engine() })
    const { status, body } = await router.post(CHAT, chat(), headers)
    assert.equal(status, 401)
    assert.deepEqual(body, { detail: message })
    assert.equal(await router.metric('requests_rejected_total', 'reason="auth"'), 1)
  })

test('AUTH_TOKEN is the one token', async (t) => {
  const router = await open(t, { [W1]: engine() }, { AUTH_TOKEN: 'else' })
  assert.equal((await router.post(CHAT, chat(), AUTH)).status, 401)
  assert.equal((await router.post(CHAT, chat(), { authorization: 'Bearer else' })).status, 200)
})

for (const [body, type, loc] of [
  [chat({ max_tokens: 0 }), 'greater_than_equal', ['body', 'max_tokens']],
  [chat({ max_tokens: 'many' }), 'int_parsing', ['body', 'max_tokens']],
  [chat({ max_tokens: 1.5 }), 'int_from_float', ['body', 'max_tokens']],
  [chat({ stream: {} }), 'bool_type', ['body', 'stream']],
  ['{', 'json_invalid', ['body', 0]],
  ['', 'missing', ['body']],
] as const)
  test(`the body ${JSON.stringify(body).slice(-40)} is refused as ${type}`, async (t) => {
    const node = engine()
    const router = await open(t, { [W1]: node })
    const { status, body: answer } = await router.post(CHAT, body, AUTH)
    assert.equal(status, 422)
    assert.equal(answer.detail[0].type, type)
    assert.deepEqual(answer.detail[0].loc, loc)
    assert.equal(callsOf(node).length, 0)
  })

test('of eight calls at once two run, two wait, and four are refused', async (t) => {
  const node = engine({ speed: 1, stepMs: 20 })
  const limits = { MAX_CONCURRENT_REQUESTS: '2', MAX_QUEUE_SIZE: '2' }
  const router = await open(t, { [W1]: node }, limits)
  const replies = await Promise.all(Array.from({ length: 8 }, () => router.post(CHAT, chat(), AUTH)))
  const statuses = replies.map(({ status }) => status).toSorted((a, b) => a - b)
  assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429, 429, 429])
  const refused = replies.find(({ status }) => status === 429)
  assert.deepEqual(refused?.body, { detail: 'Gateway queue full' })
  assert.equal(await router.metric('requests_rejected_total', 'reason="queue_full"'), 4)
  assert.equal(await router.metric('queue_capacity'), 2)
  assert.equal((await router.ask('/stats')).body.queue_depth, 0)
})

test('a node that fails is passed over, and its error is told by /stats', async (t) => {
  const bad = engine({ fault: 'status=500' })
  const router = await open(t, { [W1]: bad, [W2]: engine() })
  const { status, headers } = await router.post(CHAT, chat(), AUTH)
  assert.equal(status, 200)
  assert.equal(headers.get('x-routed-node'), W2)
  const { nodes } = (await router.ask('/stats')).body
  assert.deepEqual(
    nodes.map(({ url, errors, healthy }: Record<string, unknown>) => [url, errors, healthy]),
    [
      [W1, 1, true],
      [W2, 0, true],
    ],
  )
  assert.equal(await router.metric('node_failures_total', `node="${W1}"`), 1)
  assert.equal(await router.metric('upstream_errors_total', 'code="bad_gateway"'), 1)
  assert.equal(await router.metric('requests_per_node_total', `node="${W2}"`), 1)
})

test('MAX_RETRIES=0 leaves it at the first attempt', async (t) => {
  const router = await open(
    t,
    { [W1]: engine({ fault: 'status=500' }), [W2]: engine() },
    { MAX_RETRIES: '0' },
  )
  assert.equal((await router.post(CHAT, chat(), AUTH)).status, 500)
})

test('an engine’s 4xx is the client’s, and no failure of its node', async (t) => {
  const router = await open(t, { [W1]: engine({ fault: 'status=400' }) })
  assert.equal((await router.post(CHAT, chat(), AUTH)).status, 400)
  assert.equal(await router.metric('node_failures_total'), 0)
})

test('strictly it is told as an error of the gateway', async (t) => {
  const router = await open(t, { [W1]: engine({ fault: 'status=400' }) }, {}, { isStrict: true })
  const { status, body } = await router.post(CHAT, chat(), AUTH)
  assert.equal(status, 502)
  assert.deepEqual(body, { detail: { error: 'Upstream returned error', status_code: 400 } })
})

test('a node that nobody reaches is a 502, and out after that', async (t) => {
  const router = await open(t, { [W1]: null }, { MAX_RETRIES: '0' })
  const { status, body } = await router.post(CHAT, chat(), AUTH)
  assert.equal(status, 502)
  assert.deepEqual(body, { detail: 'Upstream unavailable' })
  assert.equal(await router.metric('upstream_errors_total', 'code="connection"'), 1)
  await router.until(async () => !(await router.ask('/stats')).body.nodes[0].healthy, 'never unhealthy')
  const next = await router.post(CHAT, chat(), AUTH)
  assert.equal(next.status, 503)
  assert.deepEqual(next.body, { detail: 'No healthy upstream nodes' })
})

test('a node that is silent for NODE_TIMEOUT_SECONDS is left for another', async (t) => {
  const silent = engine({ fault: 'delay=60000;path=/v1/chat/completions' })
  const fleet = { [W1]: silent, [W2]: engine() }
  const router = await open(t, fleet, { NODE_TIMEOUT_SECONDS: '0.05' })
  const { status, headers } = await router.post(CHAT, chat(), AUTH)
  assert.equal(status, 200)
  assert.equal(headers.get('x-routed-node'), W2)
})

test('and is a 504 where there is no other', async (t) => {
  const silent = engine({ fault: 'delay=60000;path=/v1/chat/completions' })
  const router = await open(t, { [W1]: silent }, { NODE_TIMEOUT_SECONDS: '0.05', MAX_RETRIES: '0' })
  const { status, body } = await router.post(CHAT, chat(), AUTH)
  assert.equal(status, 504)
  assert.deepEqual(body, { detail: 'Upstream timeout' })
})

test('nodes are probed at /v1/models, and out after HEALTH_FAILURE_THRESHOLD failures', async (t) => {
  const node = engine()
  const probing = { HEALTH_CHECK_INTERVAL_SECONDS: '5', HEALTH_FAILURE_THRESHOLD: '2' }
  const router = await open(t, { [W1]: node }, probing, { movesClock: true })
  const isHealthy = async () => (await router.ask('/stats')).body.nodes[0].healthy as boolean
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) await router.pass(1000)
  }
  await pass(3)
  assert.ok(node.seen().requests.some(({ path }) => path === '/v1/models'))
  node.kill()
  await pass(4)
  assert.equal(await isHealthy(), true)
  await pass(5)
  assert.equal(await isHealthy(), false)
  node.revive()
  await pass(2)
  assert.equal(await isHealthy(), true)
})

test('streams pass as they are, name their node, and tell their first token', async (t) => {
  const router = await open(t, { [W1]: engine() })
  const { status, headers, text } = await router.post(CHAT, chat({ stream: true }), AUTH)
  assert.equal(status, 200)
  assert.equal(headers.get('x-routed-node'), W1)
  assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.match(text, /\n\ndata: \[DONE\]\n\n$/)
  assert.equal(await router.metric('time_to_first_token_seconds_count'), 1)
})

test('/metrics has its names, and bounds as Python writes them', async (t) => {
  const router = await open(t, { [W1]: engine() })
  await router.post(CHAT, chat(), AUTH)
  const { text, headers } = await router.ask('/metrics')
  assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  for (const bound of ['0.1', '0.5', '1.0', '2.0', '5.0', '10.0', '30.0', '+Inf'])
    for (const name of ['request_latency_seconds', 'time_to_first_token_seconds', 'tokens_per_second'])
      assert.ok(text.includes(`${name}_bucket{le="${bound}"}`), `${name} ${bound}`)
  for (const line of [
    'requests_total{status="success",model="m"} 1.0',
    'active_requests 0.0',
    'queue_depth 0.0',
    'queue_capacity 32.0',
    `requests_per_node_total{node="${W1}"} 1.0`,
    `node_latency_seconds_count{node="${W1}"} 1.0`,
    `node_active_requests{node="${W1}"} 0.0`,
  ])
    assert.ok(text.split('\n').includes(line), line)
  assert.ok((await router.metric('tokens_generated_total', 'model="m"')) > 0)
  assert.ok((await router.metric('tokens_prompt_total', 'model="m"')) > 0)
})

test('each counter and histogram tells since when it counts', async (t) => {
  const before = Date.now() / 1000
  const router = await open(t, { [W1]: engine() })
  await router.post(CHAT, chat({ stream: true }), AUTH)
  for (const [name, labels] of [
    ['requests_created', '{status="success",model="m"}'],
    ['request_latency_seconds_created', ''],
    ['tokens_per_second_created', ''],
    ['requests_per_node_created', `{node="${W1}"}`],
    ['node_latency_seconds_created', `{node="${W1}"}`],
  ] as const) {
    const at = await router.metric(name, labels)
    assert.ok(at >= before - 1 && at <= Date.now() / 1000, `${name} ${at}`)
  }
  const { text } = await router.ask('/metrics')
  assert.match(text, /^# TYPE requests_created gauge$/m)
})

test('metrics name the models of the nodes, whichever is the default', async (t) => {
  const router = await open(t, { [W1]: engine({ models: ['a', 'b'] }) }, { MODEL_NAME: 'a' })
  for (const model of ['a', 'b', 'made-up']) await router.post(CHAT, chat({ model }), AUTH)
  assert.equal(await router.metric('requests_total', 'status="success",model="a"'), 1)
  assert.equal(await router.metric('requests_total', 'status="success",model="b"'), 1)
  assert.equal(await router.metric('requests_total', 'status="error",model="other"'), 1)
})

test('/stats tells loads as floats and latencies in seconds', async (t) => {
  const router = await open(t, { [W1]: engine() })
  await router.post(CHAT, chat(), AUTH)
  const { text, body } = await router.ask('/stats')
  assert.match(text, /^\{"active_requests":0\.0,"queue_depth":0\.0,"nodes":\[/)
  assert.ok(body.nodes[0].avg_latency > 0 && body.nodes[0].avg_latency < 5)
})

test('least_loaded takes the fewest calls, then the first URL; round_robin each in turn by URL', async (t) => {
  const nodesOf = async (strategy: string) => {
    const router = await open(t, { [W2]: engine(), [W1]: engine() }, { ROUTING_STRATEGY: strategy })
    const nodes: (string | null)[] = []
    for (let i = 0; i < 4; i++)
      nodes.push((await router.post(CHAT, chat(), AUTH)).headers.get('x-routed-node'))
    return nodes
  }
  assert.deepEqual(await nodesOf('least_loaded'), [W1, W1, W1, W1])
  assert.deepEqual(await nodesOf('round_robin'), [W1, W2, W1, W2])
})

test('latency_based tries every node, then keeps to the fastest', async (t) => {
  const slow = engine({ speed: 1, prefillTokensPerSecond: 60 })
  const router = await open(t, { [W1]: slow, [W2]: engine() }, { ROUTING_STRATEGY: 'latency_based' })
  const nodes: (string | null)[] = []
  for (let i = 0; i < 5; i++)
    nodes.push((await router.post(CHAT, chat({ max_tokens: 4 }), AUTH)).headers.get('x-routed-node'))
  assert.deepEqual(new Set(nodes.slice(0, 2)), new Set([W1, W2]))
  assert.deepEqual(nodes.slice(2), [W2, W2, W2])
})

test('what it does not have is a 404 with a detail, what is read is no POST', async (t) => {
  const router = await open(t, { [W1]: engine() })
  const missing = await router.ask('/nothing')
  assert.equal(missing.status, 404)
  assert.deepEqual(missing.body, { detail: 'Not Found' })
  for (const [path, method] of [
    ['/health', 'POST'],
    [CHAT, 'GET'],
  ] as const) {
    const { status, body } = await router.ask(path, { method })
    assert.equal(status, 405)
    assert.deepEqual(body, { detail: 'Method Not Allowed' })
  }
})

test('nodes come as JSON or with commas, slashes at their ends left out', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine() }
  for (const nodes of [`["${W1}/","${W2}"]`, `${W1}/, ${W2}`]) {
    const router = await open(t, fleet, { VLLM_NODES: nodes })
    assert.deepEqual((await router.ask('/health')).body.upstream_nodes, [W1, W2])
  }
})
