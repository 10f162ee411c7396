import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema } from '../../src/config/schema.ts'
import { corsRulesOf } from '../../src/dialects/cors-rules.ts'
import { withCors } from '../../src/routes/cors.ts'

const PAGE = 'https://app.example'
const plain = () => Promise.resolve(new Response('{}', { status: 404, headers: { vary: 'accept' } }))
const ask = (method: string, headers: Record<string, string>) =>
  new Request('http://router/v1/models', { method, headers })

for (const [name, origins, origin, granted] of [
  ['a listed origin is named back', [PAGE], PAGE, PAGE],
  ['an origin that is not listed gets no mark', [PAGE], 'https://evil.example', null],
  ['a star allows any origin', ['*'], 'https://any.example', '*'],
  ['a suffix of a listed origin is another origin', ['https://app.example'], 'https://x-app.example', null],
] as const) {
  test(name, async () => {
    const response = await withCors(origins, plain)(ask('GET', { origin }))
    assert.equal(response.headers.get('access-control-allow-origin'), granted)
    assert.equal(response.headers.get('vary'), granted === PAGE ? 'accept, Origin' : 'accept')
  })
}

test('errors are marked too, so that a page can read them', async () => {
  const response = await withCors([PAGE], plain)(ask('GET', { origin: PAGE }))
  assert.equal(response.status, 404)
  assert.equal(response.headers.get('access-control-expose-headers'), '*')
})

test('a preflight is answered without asking anybody, and allows the headers that it names', async () => {
  const never = () => Promise.reject(new Error('was asked'))
  const headers = {
    origin: PAGE,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  }
  const response = await withCors([PAGE], never)(ask('OPTIONS', headers))
  assert.equal(response.status, 204)
  assert.equal(response.headers.get('access-control-allow-headers'), 'authorization,content-type')
  assert.match(response.headers.get('access-control-allow-methods') ?? '', /POST.*DELETE/)
  assert.equal(response.headers.get('access-control-allow-credentials'), null)
})

test('a request without an origin passes as it is', async () => {
  const response = await withCors(['*'], plain)(ask('GET', {}))
  assert.equal(response.headers.get('access-control-allow-origin'), null)
})

test('in place of the Rust routers a preflight is answered as there, and pages that may not are granted nothing', async () => {
  const never = () => Promise.reject(new Error('was asked'))
  const answer = async (corsOrigins: string[], origin: string) => {
    const rules = corsRulesOf(configSchema.parse({ dialect: 'sglang-router', corsOrigins }))
    const headers = { origin, 'access-control-request-method': 'POST' }
    const { status, headers: told } = await withCors(corsOrigins, never, rules)(ask('OPTIONS', headers))
    return [status, told.get('access-control-allow-origin'), told.get('access-control-allow-methods')]
  }
  assert.deepEqual(await answer(['*'], PAGE), [200, '*', '*'])
  assert.deepEqual(await answer([PAGE], PAGE), [200, PAGE, 'GET,POST,OPTIONS'])
  assert.deepEqual(await answer([PAGE], 'https://evil.example'), [200, null, 'GET,POST,OPTIONS'])
})

test('in place of the Rust routers every OPTIONS is answered so, whoever asks', async () => {
  const rules = corsRulesOf(configSchema.parse({ dialect: 'vllm-router', corsOrigins: ['*'] }))
  const { status, headers } = await withCors(['*'], plain, rules)(ask('OPTIONS', {}))
  assert.deepEqual([status, headers.get('access-control-allow-origin')], [200, '*'])
})

for (const dialect of ['dlrouter', 'lmdeploy-proxy'])
  test(`in place of ${dialect} pages may send cookies, and then are named`, async () => {
    const rules = corsRulesOf(configSchema.parse({ dialect, corsOrigins: ['*'] }))
    const page = withCors(['*'], plain, rules)
    const granted = async (method: string, headers: Record<string, string>) => {
      const { headers: told } = await page(ask(method, { origin: PAGE, ...headers }))
      return ['origin', 'credentials'].map((name) => told.get(`access-control-allow-${name}`))
    }
    assert.deepEqual(await granted('GET', {}), ['*', 'true'])
    assert.deepEqual(await granted('GET', { cookie: 'a=b' }), [PAGE, 'true'])
    assert.deepEqual(await granted('OPTIONS', { 'access-control-request-method': 'POST' }), [PAGE, 'true'])
    assert.match((await page(ask('GET', { origin: PAGE }))).headers.get('vary') ?? '', /Origin/)
  })
