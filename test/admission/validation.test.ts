import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rig } from '../dialects/_rig.ts'

const URLS = { apiKeyValidationUrls: ['https://one/me', 'https://two/me?x=1'] }

function validator(status: (token: string) => number) {
  const seen: string[] = []
  return {
    seen,
    fetch: (request: Request) => {
      const token = request.headers.get('authorization')?.slice(7) ?? ''
      seen.push(`${request.method} ${new URL(request.url).pathname}${new URL(request.url).search} ${token}`)
      return Promise.resolve(new Response('', { status: status(token) }))
    },
  }
}

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })

async function open(known: string[]) {
  const one = validator(() => 401)
  const two = validator((token) => (known.includes(token) ? 200 : 403))
  const fleet = { 'https://one': one, 'https://two': two }
  return { one, two, ...(await rig(null, '', fleet, { ...URLS, movesClock: true })) }
}

test('one URL that says 200 lets a token in, on every endpoint; without a token nobody is let in', async () => {
  const { ask, one, two } = await open(['good'])
  for (const path of ['/livez', '/v1/models', '/nowhere']) {
    assert.equal((await ask(path)).status, 401)
    assert.equal((await ask(path, bearer('bad'))).status, 401)
    assert.notEqual((await ask(path, bearer('good'))).status, 401)
  }
  assert.deepEqual(one.seen, ['GET /me bad', 'GET /me good'])
  assert.deepEqual(two.seen, ['GET /me?x=1 bad', 'GET /me?x=1 good'])
})

test('a good token is asked for again after minutes, a bad one after seconds', async () => {
  const known = ['good']
  const { ask, two, pass } = await open(known)
  for (const key of ['good', 'bad']) await ask('/livez', bearer(key))
  await pass(11_000)
  for (const key of ['good', 'bad']) await ask('/livez', bearer(key))
  assert.equal(two.seen.length, 3)
  known.length = 0
  await pass(300_000)
  assert.equal((await ask('/livez', bearer('good'))).status, 401)
})

test('calls that come together ask once', async () => {
  const { ask, two } = await open(['good'])
  await Promise.all([1, 2, 3].map(() => ask('/livez', bearer('good'))))
  assert.equal(two.seen.length, 1)
})

test('a validator that fails is no verdict that is kept', async () => {
  let status = 500
  const two = validator(() => status)
  const { ask } = await rig(null, '', { 'https://one': null, 'https://two': two }, URLS)
  assert.equal((await ask('/livez', bearer('good'))).status, 401)
  status = 200
  assert.equal((await ask('/livez', bearer('good'))).status, 200)
})
