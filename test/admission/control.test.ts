import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rig } from '../dialects/_rig.ts'
import { encode, ISSUER, issuer } from './_issuer.ts'

const WORKERS = '/fetchway/v1/workers'
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
const soon = () => Math.floor(Date.now() / 1000) + 600
const KEYS = { controlKeys: ['1:Ann:admin:sk-ann', '2:Bob:user:sk-bob'] }

test('keys with roles: admin may, user may not, others are unknown', async () => {
  const { ask } = await rig(null, '', {}, KEYS)
  const statuses = []
  for (const key of ['sk-ann', 'sk-bob', 'sk-eve']) statuses.push((await ask(WORKERS, bearer(key))).status)
  statuses.push((await ask(WORKERS)).status)
  assert.deepEqual(statuses, [200, 403, 401, 401])
})

test('who did what is logged where that is asked for', async () => {
  const { ask, logged } = await rig(null, '', {}, { ...KEYS, audit: true })
  await ask(WORKERS, bearer('sk-ann'))
  await ask(WORKERS, bearer('sk-bob'))
  await ask(WORKERS, bearer('sk-eve'))
  const lines = logged.filter(({ message }) => message === 'control plane')
  assert.deepEqual(
    lines.map(({ who, status, method, path }) => [who, status, method, path]),
    [
      ['1', 200, 'GET', WORKERS],
      ['2', 403, 'GET', WORKERS],
      ['unknown', 401, 'GET', WORKERS],
    ],
  )
})

const CLAIMS = { iss: ISSUER, aud: 'fetchway', sub: 'ann', roles: ['ops'] }
const RULES = { jwtIssuer: ISSUER, jwtAudience: 'fetchway', jwtRoles: { ops: 'admin', dev: 'user' } } as const

const TOKENS: readonly (readonly [what: string, claims: object, header: object, status: number])[] = [
  ['a token of a role that may', {}, {}, 200],
  ['one of a role that may not', { roles: ['dev'] }, {}, 403],
  ['one of a role that means nothing here', { roles: ['cook'] }, {}, 401],
  ['one of a role called as a key of every object', { roles: ['constructor'] }, {}, 401],
  ['an old one', { exp: 1000 }, {}, 401],
  ['one that has no end', { exp: undefined }, {}, 401],
  ['one of tomorrow', { nbf: Math.floor(Date.now() / 1000) + 86_400 }, {}, 401],
  ['one for somebody else', { aud: 'other' }, {}, 401],
  ['one for several', { aud: ['other', 'fetchway'] }, {}, 200],
  ['one of another issuer', { iss: 'https://evil' }, {}, 401],
  ['one that names no algorithm', {}, { alg: 'none' }, 401],
  ['one by a shared secret', {}, { alg: 'HS256' }, 401],
  ['one by a key that is not published', {}, { kid: 'k9' }, 401],
]

for (const [what, claims, header, status] of TOKENS)
  test(`${what}: ${status}`, async () => {
    const { server, sign } = await issuer()
    const { ask } = await rig(null, '', { [ISSUER]: server }, RULES)
    const token = await sign({ ...CLAIMS, exp: soon(), ...claims }, header)
    assert.equal((await ask(WORKERS, bearer(token))).status, status)
  })

test('a token that was changed is none', async () => {
  const { server, sign } = await issuer()
  const { ask } = await rig(null, '', { [ISSUER]: server }, RULES)
  const [head, , signature] = (await sign({ ...CLAIMS, exp: soon() })).split('.')
  const forged = [head, encode({ ...CLAIMS, exp: soon() + 1 }), signature].join('.')
  assert.equal((await ask(WORKERS, bearer(forged))).status, 401)
})

test('keys are fetched once, and not for every key that somebody makes up', async () => {
  const { server, sign, fetched } = await issuer()
  const { ask } = await rig(null, '', { [ISSUER]: server }, { ...RULES, jwtJwksUri: `${ISSUER}/keys` })
  const good = await sign({ ...CLAIMS, exp: soon() })
  for (let i = 0; i < 3; i++) await ask(WORKERS, bearer(good))
  const odd = await sign({ ...CLAIMS, exp: soon() }, { kid: 'x' })
  for (let i = 0; i < 3; i++) await ask(WORKERS, bearer(odd))
  assert.equal(fetched(), 1)
})
