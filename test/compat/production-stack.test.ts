// What clients of production-stack's router observe: statuses, bodies, headers, and what its engines get.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { callsOf, CHAT, chat, engine, headerOf, W1, W2, W3, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat } from './_rig.ts'

/** A version 4 UUID. */
const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

type More = Partial<Parameters<typeof speak>[2]>

/** A router in front of a static fleet; `models` by engine, all `m` by default. */
function open(
  t: TestContext,
  fleet: Fleet,
  flags = '',
  { models, ...more }: More & { readonly models?: readonly string[] } = {},
): Promise<Compat> {
  const urls = Object.keys(fleet)
  const names = models ?? urls.map(() => 'm')
  const logic = flags.includes('--routing-logic') ? '' : '--routing-logic roundrobin'
  const line = `--service-discovery static --static-backends ${urls.join(',')} --static-models ${names.join(',')} ${logic} ${flags}`
  return speak(t, productionStack, { fleet, flags: line, ...more })
}

const counts = (fleet: Fleet): number[] =>
  Object.values(fleet).map((worker) => (worker ? callsOf(worker).length : 0))

for (const [body, status, error] of [
  ['{', 400, 'Invalid request: request body must be valid JSON.'],
  ['[]', 400, 'Invalid request: request body must be a JSON object.'],
  ['7', 400, 'Invalid request: request body must be a JSON object.'],
  ['{}', 400, "Invalid request: missing 'model' in request body."],
  ['', 400, "Invalid request: missing 'model' in request body."],
  [{ model: 'nope' }, 404, "Model 'nope' not found. Available models can be listed at /v1/models."],
] as const)
  test(`the body ${JSON.stringify(body)} is refused with a sentence`, async (t) => {
    const worker = engine()
    const router = await open(t, { [W1]: worker })
    for (const path of [CHAT, '/v1/embeddings']) {
      const reply = await router.post(path, body, { 'x-request-id': 'mine' })
      assert.equal(reply.status, status)
      assert.deepEqual(reply.body, { error })
      assert.equal(reply.headers.get('x-request-id'), 'mine')
    }
    assert.equal(callsOf(worker).length, 0)
  })

test('a plain GET of the voices is told that it names no model', async (t) => {
  const router = await open(t, { [W1]: engine() })
  const { status, body } = await router.ask('/v1/audio/voices')
  assert.equal(status, 400)
  assert.deepEqual(body, { error: "Invalid request: missing 'model' in request body." })
})

for (const [method, path, status] of [
  ['GET', '/nowhere', 404],
  ['GET', '/v1/nowhere', 404],
  ['GET', CHAT, 405],
  ['POST', '/engines', 405],
  ['GET', '/sleep', 405],
] as const)
  test(`${method} ${path} is a ${status} in FastAPI's words`, async (t) => {
    const router = await open(t, { [W1]: engine() })
    const reply = await router.ask(path, { method })
    assert.equal(reply.status, status)
    assert.deepEqual(reply.body, { detail: status === 404 ? 'Not Found' : 'Method Not Allowed' })
  })

test('bytes and headers reach the engine as they came, and one id goes with them and comes back', async (t) => {
  const worker = engine()
  const router = await open(t, { [W1]: worker })
  const body = `{ "model": "m", "unknown": [1.0],  "messages": [{"role":"user","content":"hi"}] }`
  const { status, headers } = await router.post(CHAT, body, {
    authorization: 'Bearer mine',
    'x-other': 'yes',
  })
  assert.equal(status, 200)
  const [got] = callsOf(worker)
  assert.equal(got?.body, body)
  assert.equal(headerOf(got, 'authorization'), 'Bearer mine')
  assert.equal(headerOf(got, 'x-other'), 'yes')
  const id = headers.get('x-request-id') ?? ''
  assert.match(id, UUID4)
  assert.equal(headerOf(got, 'x-request-id'), id)
})

test('models are listed once, aliases are not, and engines by id', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine(), [W3]: engine({ models: ['n'] }) }
  const router = await open(t, fleet, '--static-aliases short:m', { models: ['m', 'm', 'n'] })
  const { body } = await router.ask('/v1/models')
  assert.equal(body.object, 'list')
  assert.deepEqual(
    body.data.map(({ id, object, owned_by: owner, root, parent }: Record<string, unknown>) => [
      id,
      object,
      owner,
      root,
      parent,
    ]),
    [
      ['m', 'model', 'vllm', null, null],
      ['n', 'model', 'vllm', null, null],
    ],
  )
  const engines = (await router.ask('/engines')).body
  assert.deepEqual(
    engines.map((one: { serving_models: string[] }) => one.serving_models),
    [['m'], ['m'], ['n']],
  )
  assert.match(engines[0].engine_id, /^[0-9a-f-]{36}$/)
  assert.equal(typeof engines[0].created, 'number')
})

test('an alias reaches the engine as the model that it stands for', async (t) => {
  const worker = engine()
  const router = await open(t, { [W1]: worker }, '--static-aliases short:m')
  const { status, body } = await router.post(CHAT, chat({ model: 'short' }))
  assert.equal(status, 200)
  assert.equal(JSON.parse(callsOf(worker)[0]?.body ?? '').model, 'm')
  assert.equal(body.model, 'm')
})

test('roundrobin counts for each set of workers by itself, in the order of the URLs', async (t) => {
  const fleet = { [W3]: engine(), [W1]: engine(), [W2]: engine({ models: ['n'] }) }
  const router = await open(t, fleet, '', { models: ['m', 'm', 'n'] })
  const first = []
  for (let i = 0; i < 6; i++) {
    await router.post(CHAT, chat())
    first.push(callsOf(fleet[W1] as never).length)
    await router.post(CHAT, chat({ model: 'n' }))
  }
  assert.deepEqual(first, [1, 1, 2, 2, 3, 3])
  assert.deepEqual(counts(fleet), [3, 3, 6])
})

test('one URL may serve several models', async (t) => {
  const worker = engine({ models: ['m', 'n'] })
  const fleet = { [W1]: worker }
  const router = await speak(t, productionStack, {
    fleet,
    flags: `--service-discovery static --static-backends ${W1},${W1} --static-models m,n --routing-logic roundrobin`,
  })
  for (const model of ['m', 'n']) assert.equal((await router.post(CHAT, chat({ model }))).status, 200)
  assert.equal((await router.ask('/engines')).body.length, 1)
})

/** Which of four engines a session goes to, by the real ring. */
const RING = { u1: 1, u2: 4, u3: 2, alice: 2, 会话: 1, '7': 3, ['a'.repeat(40)]: 3, 'session-42': 3 }

test('sessions go where the ring of the original puts them', async (t) => {
  const fleet = Object.fromEntries([1, 2, 3, 4].map((i) => [`http://10.0.0.${i}:8000`, engine()]))
  const router = await open(t, fleet, '--routing-logic session --session-key user_name')
  for (const [session, at] of Object.entries(RING)) {
    const before = counts(fleet)
    const value = session === '7' ? 7 : session
    assert.equal((await router.post(CHAT, chat({ user_name: value }))).status, 200)
    const after = counts(fleet)
    assert.equal(after.findIndex((count, i) => count > (before[i] ?? 0)) + 1, at, session)
  }
})

test('a header names the session before the body does, and other names do not', async (t) => {
  const fleet = Object.fromEntries([1, 2, 3, 4].map((i) => [`http://10.0.0.${i}:8000`, engine()]))
  const router = await open(t, fleet, '--routing-logic session --session-key x-user-id')
  for (let i = 0; i < 4; i++) await router.post(CHAT, chat({ 'x-user-id': 'u1' }), { 'x-user-id': 'u2' })
  assert.deepEqual(counts(fleet), [0, 0, 0, 4])
  for (let i = 0; i < 4; i++) await router.post(CHAT, chat({ user: 'u1' }), { 'x-session-id': 'u1' })
  assert.deepEqual(
    counts(fleet).toSorted((a, b) => a - b),
    [1, 1, 1, 5],
  )
})

test('prefixaware sends a prompt to whoever had its beginning, in chunks of 128 characters and for each model apart', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine(), [W3]: engine() }
  const router = await open(t, fleet, '--routing-logic prefixaware')
  const send = async (content: unknown) => {
    const before = counts(fleet)
    assert.equal((await router.post(CHAT, chat({ messages: [{ role: 'user', content }] }))).status, 200)
    return counts(fleet).findIndex((count, i) => count > (before[i] ?? 0))
  }
  const [a, b] = ['a'.repeat(130), 'b'.repeat(130)]
  const [first, second] = [await send(a), await send(b)]
  assert.notEqual(first, second)
  for (let i = 0; i < 3; i++) {
    assert.equal(await send(`${a.slice(0, 128)} and ${i}`), first)
    assert.equal(
      await send([
        { type: 'text', text: b },
        { type: 'text', text: String(i) },
      ]),
      second,
    )
  }
  assert.equal(await send('short'), await send('short'))
})

test('strictly, prefixaware leaves it to chance where nothing matches', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine() }
  const router = await open(t, fleet, '--routing-logic prefixaware', { isStrict: true })
  for (let i = 0; i < 12; i++)
    await router.post(CHAT, chat({ messages: [{ role: 'user', content: `n ${i}` }] }))
  const [one = 0, other = 0] = counts(fleet)
  assert.equal(one + other, 12)
  const again = counts(fleet)
  for (let i = 0; i < 6; i++) await router.post(CHAT, chat({ messages: [{ role: 'user', content: 'n 0' }] }))
  assert.ok(
    counts(fleet).some((count, i) => count === again[i]),
    'a match is no chance',
  )
})

for (const body of [
  { model: 'm', prompt: ['one', 'two'] },
  { model: 'm', prompt: [1, 2, 3] },
] as const)
  test(`prefixaware takes the prompt ${JSON.stringify(body.prompt)}`, async (t) => {
    const router = await open(t, { [W1]: engine() }, '--routing-logic prefixaware')
    assert.equal((await router.post('/v1/completions', body)).status, 200)
  })

test('embeddings and tokenize have no prompt, and prefixaware takes them', async (t) => {
  const worker = engine()
  const router = await open(t, { [W1]: worker }, '--routing-logic prefixaware')
  for (const [path, body] of [
    ['/v1/embeddings', { model: 'm', input: 'x' }],
    ['/tokenize', { model: 'm', messages: [{ role: 'user', content: null }] }],
  ] as const)
    await router.post(path, body)
  assert.equal(callsOf(worker).length, 2)
})

test('--prefix-min-match-length keeps short matches from counting', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine() }
  const router = await open(t, fleet, '--routing-logic prefixaware --prefix-min-match-length 1000')
  for (let i = 0; i < 4; i++) await router.post(CHAT, chat())
  assert.deepEqual(counts(fleet), [2, 2])
})

test('an engine that is gone is passed over; with no further attempts its clients are told', async (t) => {
  const fleet = { [W1]: null, [W2]: engine() }
  const router = await open(t, fleet)
  for (let i = 0; i < 3; i++) assert.equal((await router.post(CHAT, chat())).status, 200)
  const strict = await open(t, { [W1]: null, [W2]: engine() }, '--max-instance-failover-reroute-attempts 0')
  const { status, body } = await strict.post(CHAT, chat())
  assert.equal(status, 502)
  assert.equal(typeof body.error, 'string')
})

test("an engine's own refusal passes as it is", async (t) => {
  const router = await open(t, { [W1]: engine({ fault: 'status=503' }) })
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 503)
  assert.equal(typeof body.error, 'object')
})

test('a model whose engines are all gone is unavailable, not unknown', async (t) => {
  const router = await open(t, { [W1]: null, [W2]: engine({ models: ['n'] }) }, '', {
    models: ['m', 'n'],
    movesClock: true,
  })
  const first = router.post(CHAT, chat())
  await router.pass(60_000)
  await first
  const { status, body, headers } = await router.post(CHAT, chat())
  assert.equal(status, 503)
  assert.deepEqual(body, { error: "Model 'm' is temporarily unavailable. Please try again later." })
  assert.match(headers.get('x-request-id') ?? '', UUID4)
})

test('/version tells one, /health is healthy', async (t) => {
  const router = await open(t, { [W1]: engine() })
  assert.equal(typeof (await router.ask('/version')).body.version, 'string')
  assert.deepEqual((await router.ask('/health')).body, { status: 'healthy' })
})

const CHECKED =
  '--static-backend-health-checks --static-backend-health-check-interval 5 --static-backend-health-check-timeout-seconds 2'

test('an engine that fails its check leaves at once, and comes back', async (t) => {
  const [bad, good] = [engine({ fault: 'status=500;times=1' }), engine()]
  const fleet = { [W1]: bad, [W2]: good }
  const router = await open(t, fleet, `${CHECKED} --static-model-types chat,completion`, { movesClock: true })
  await router.pass(0)
  assert.equal(callsOf(bad)[0]?.path, CHAT)
  assert.deepEqual(JSON.parse(callsOf(good)[0]?.body ?? ''), { model: 'm', prompt: 'Hello', max_tokens: 3 })
  assert.equal((await router.ask('/engines')).body.length, 1)
  await router.pass(5000)
  assert.equal((await router.ask('/engines')).body.length, 2)
})

test('where all fail their checks the model is listed no more, and unavailable', async (t) => {
  const bad = engine({ fault: 'status=500' })
  const router = await open(t, { [W1]: bad }, `${CHECKED} --static-model-types chat`, { movesClock: true })
  await router.pass(0)
  assert.deepEqual((await router.ask('/v1/models')).body.data, [])
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 503)
  assert.deepEqual(body, { error: "Model 'm' is temporarily unavailable. Please try again later." })
})
