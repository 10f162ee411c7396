// What is beside the calls of production-stack's router: engines that sleep, its root path, forms.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { callsOf, CHAT, chat, engine, W1, W2, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat, type Spoken } from './_rig.ts'

function open(t: TestContext, fleet: Fleet, flags = '', more: Partial<Spoken> = {}): Promise<Compat> {
  const urls = Object.keys(fleet)
  const line = `--service-discovery static --static-backends ${urls.join(',')} --static-models ${urls.map(() => 'm').join(',')} --routing-logic roundrobin ${flags}`
  return speak(t, productionStack, { fleet, flags: line, ...more })
}

/** An engine whose sleep is told by its paths. */
function sleeper() {
  const inner = engine()
  let isAsleep = false
  const asked: string[] = []
  const fetch: typeof inner.fetch = async (request) => {
    const { pathname, search } = new URL(request.url)
    if (pathname === '/is_sleeping') return Response.json({ is_sleeping: isAsleep })
    if (pathname !== '/sleep' && pathname !== '/wake_up') return inner.fetch(request)
    asked.push(`${request.method} ${pathname}${search} ${request.headers.get('authorization') ?? ''}`.trim())
    isAsleep = pathname === '/sleep'
    return new Response(null)
  }
  return { ...inner, fetch, asked }
}

const idOf = async (router: Compat, at: number): Promise<string> =>
  (await router.ask('/engines')).body[at].engine_id

test('an engine that sleeps gets no calls until it is woken, and is told the rest of the query', async (t) => {
  const fleet = { [W1]: sleeper(), [W2]: engine() }
  const router = await open(t, fleet, '', { environment: { VLLM_API_KEY: 'sk' } })
  const id = await idOf(router, 0)
  const { status, body } = await router.ask(`/sleep?id=${id}&level=2&mode=abort`, { method: 'POST' })
  assert.equal(status, 200)
  assert.deepEqual(body, { status: 'success' })
  assert.deepEqual((await router.ask(`/is_sleeping?id=${id}`)).body, { is_sleeping: true })
  for (let i = 0; i < 3; i++) assert.equal((await router.post(CHAT, chat())).status, 200)
  assert.deepEqual([callsOf(fleet[W1] as never).length, callsOf(fleet[W2] as never).length], [0, 3])
  assert.deepEqual((await router.ask(`/wake_up?id=${id}&tags=weights`, { method: 'POST' })).body, {
    status: 'success',
  })
  assert.deepEqual((await router.ask(`/is_sleeping?id=${id}`)).body, { is_sleeping: false })
  await router.post(CHAT, chat())
  await router.post(CHAT, chat())
  assert.equal(callsOf(fleet[W1] as never).length, 1)
  assert.deepEqual((fleet[W1] as ReturnType<typeof sleeper>).asked, [
    'POST /sleep?level=2&mode=abort Bearer sk',
    'POST /wake_up?tags=weights Bearer sk',
  ])
})

test('the key for what the router asks does not go with calls', async (t) => {
  const worker = engine()
  const router = await open(t, { [W1]: worker }, '', { environment: { VLLM_API_KEY: 'sk' } })
  await router.post(CHAT, chat())
  assert.ok(!callsOf(worker)[0]?.headers.some(([name]) => name.toLowerCase() === 'authorization'))
})

test('when all engines of a model sleep it is unavailable', async (t) => {
  const router = await open(t, { [W1]: sleeper() })
  await router.ask(`/sleep?id=${await idOf(router, 0)}`, { method: 'POST' })
  const { status, body } = await router.post(CHAT, chat())
  assert.equal(status, 503)
  assert.match(body.error, /^Model 'm' is temporarily unavailable\./)
})

for (const [path, error] of [
  ['/sleep', 'Invalid request: missing target Engine Id.'],
  ['/wake_up?id=', 'Invalid request: missing target Engine Id.'],
  ['/sleep?id=zzz', 'Engine with Id zzz not found.'],
  ['/is_sleeping?id=zzz', 'Engine with Id zzz not found.'],
] as const)
  test(`${path} is told: ${error}`, async (t) => {
    const router = await open(t, { [W1]: engine() })
    const method = path.startsWith('/is_') ? 'GET' : 'POST'
    const { status, body } = await router.ask(path, { method })
    assert.equal(status, 400)
    assert.deepEqual(body, { error })
  })

test('an engine that cannot sleep says so, and goes on working', async (t) => {
  const inner = engine()
  const fetch: typeof inner.fetch = (request) =>
    request.url.includes('/sleep')
      ? Promise.resolve(new Response('no', { status: 404 }))
      : inner.fetch(request)
  const router = await open(t, { [W1]: { ...inner, fetch } })
  const { status, body } = await router.ask(`/sleep?id=${await idOf(router, 0)}`, { method: 'POST' })
  assert.equal(status, 404)
  assert.deepEqual(body, { error: 'The engine answered 404.' })
  assert.equal((await router.post(CHAT, chat())).status, 200)
})

test('below a root path it answers with that path before its own, and without', async (t) => {
  const worker = engine()
  const router = await open(t, { [W1]: worker }, '--root-path /llm/router')
  for (const prefix of ['/llm/router', '']) {
    assert.equal((await router.ask(`${prefix}/health`)).status, 200)
    assert.equal((await router.post(`${prefix}${CHAT}`, chat())).status, 200)
  }
  assert.equal((await router.ask('/llm/routers/health')).status, 404)
  assert.deepEqual(
    callsOf(worker).map(({ path }) => path),
    [CHAT, CHAT],
  )
})

function recording(fields: Readonly<Record<string, string>>): FormData {
  const form = new FormData()
  form.append('file', new Blob(['sound'], { type: 'audio/wav' }), 'a.wav')
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  return form
}

async function transcribe(router: Compat, fields: Readonly<Record<string, string>>): Promise<Response> {
  const body = recording(fields)
  return router.request(new Request('http://router/v1/audio/transcriptions', { method: 'POST', body }))
}

for (const [isStrict, language] of [
  [false, null],
  [true, 'en'],
] as const)
  test(`a transcription in no language is ${language ?? 'left so'}${isStrict ? ' strictly' : ''}; other fields stay`, async (t) => {
    const worker = engine()
    const router = await open(t, { [W1]: worker }, '', { isStrict })
    await transcribe(router, { model: 'm', 'timestamp_granularities[]': 'word' })
    const [got] = callsOf(worker)
    assert.match(got?.body ?? '', /timestamp_granularities/)
    const found = /name="language"\r\n\r\n(\w+)/.exec(got?.body ?? '')?.[1] ?? null
    assert.equal(found, language)
  })

test('a language that was given stays', async (t) => {
  const worker = engine()
  const router = await open(t, { [W1]: worker }, '', { isStrict: true })
  await transcribe(router, { model: 'm', language: 'de' })
  assert.match(callsOf(worker)[0]?.body ?? '', /name="language"\r\n\r\nde\r\n/)
})

test('a transcription of an unknown model is told in its own words', async (t) => {
  const router = await open(t, { [W1]: engine() })
  const response = await transcribe(router, { model: 'nope' })
  assert.equal(response.status, 404)
  assert.deepEqual(await response.json(), { error: 'No backend for model nope' })
})

test('an alias holds for forms, too', async (t) => {
  const worker = engine()
  const router = await open(t, { [W1]: worker }, '--static-aliases short:m')
  await transcribe(router, { model: 'short' })
  assert.match(callsOf(worker)[0]?.body ?? '', /name="model"\r\n\r\nm\r\n/)
})
