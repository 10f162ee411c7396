import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authenticate, authorizeAdmin, isSame } from '../../src/admission/auth.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'

const config = (input: ConfigInput) => configSchema.parse(input)
const code = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'let in'
}

test('texts are the same only when every character is', () => {
  for (const [a, b, same] of [
    ['abc', 'abc', true],
    ['abc', 'abd', false],
    ['abc', 'ab', false],
    ['', '', true],
    ['', 'a', false],
    ['aa', 'a', false],
  ] as const) {
    assert.equal(isSame(a, b), same, `${a} ${b}`)
  }
})

test('keys come as Bearer or as x-api-key', () => {
  const keyed = config({ apiKeys: ['one', { key: 'two', tenant: 'team', priority: 3 }] })
  assert.equal(
    code(() => authenticate(keyed, new Headers())),
    'missing_api_key',
  )
  assert.equal(
    code(() => authenticate(keyed, new Headers({ authorization: 'Bearer three' }))),
    'invalid_api_key',
  )
  assert.equal(
    code(() => authenticate(keyed, new Headers({ authorization: 'Basic one' }))),
    'missing_api_key',
  )
  const caller = authenticate(keyed, new Headers({ 'x-api-key': 'two' }))
  assert.deepEqual([caller.tenant, caller.priority, caller.allowance], ['team', 3, null])
  assert.equal(
    code(() => authenticate(keyed, new Headers({ authorization: 'bearer one' }))),
    'let in',
  )
})

test('a tenant without a name never shows its key', () => {
  const caller = authenticate(
    config({ apiKeys: ['secret-key-1'] }),
    new Headers({ authorization: 'Bearer secret-key-1' }),
  )
  assert.doesNotMatch(caller.tenant, /secret/)
})

const NO_KEY = new Headers()
const KEY = new Headers({ authorization: 'Bearer admin' })
for (const [name, input, headers, expected] of [
  ['loopback without a key is open', {}, NO_KEY, 'let in'],
  ['another address without a key is closed', { host: '0.0.0.0' }, NO_KEY, 'admin_closed'],
  ['localhost is loopback', { host: 'localhost' }, NO_KEY, 'let in'],
  ['::1 is loopback', { host: '::1' }, NO_KEY, 'let in'],
  ['127.evil.example is not', { host: '127.evil.example' }, NO_KEY, 'admin_closed'],
  ['a key closes loopback, too', { adminKey: 'admin' }, NO_KEY, 'admin_key_required'],
  ['the key opens', { adminKey: 'admin', host: '0.0.0.0' }, KEY, 'let in'],
  ['a wrong key does not', { adminKey: 'other' }, KEY, 'admin_key_required'],
] as const) {
  test(`control plane: ${name}`, () =>
    assert.equal(
      code(() => authorizeAdmin(config(input), headers)),
      expected,
    ))
}
