import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDotenv } from '../../src/config/dotenv.ts'
import type { Environment } from '../../src/config/environment.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { load } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'

const read = (environment: Environment): Config => {
  const loaded = load({ environment })
  assert.deepEqual(loaded.issues.map(formatIssue), [])
  assert.ok(loaded.config)
  return loaded.config
}
const refuse = (environment: Environment): string[] => load({ environment }).issues.map(formatIssue)

test('lists are separated by commas or JSON', () => {
  const expected = ['http://a:1', 'http://[::1]:2']
  assert.deepEqual(
    read({ FETCHWAY_WORKERS: ' a:1, [::1]:2 ,' }).workers.map(({ url }) => url),
    expected,
  )
  assert.deepEqual(
    read({ FETCHWAY_WORKERS: '["a:1", {"url": "[::1]:2"}]' }).workers.map(({ url }) => url),
    expected,
  )
  assert.deepEqual(
    read({ FETCHWAY_WORKERS: '[::1]:2,a:1' }).workers.map(({ url }) => url),
    expected.toReversed(),
  )
})

test('the singular of a list is understood too', () => {
  assert.deepEqual(
    read({ FETCHWAY_API_KEY: 'a' }).apiKeys.map(({ key }) => key),
    ['a'],
  )
})

test('maps are NAME=VALUE pairs or JSON', () => {
  assert.deepEqual(read({ FETCHWAY_ALIASES: 'a=b,c=d' }).aliases, { a: 'b', c: 'd' })
  assert.deepEqual(read({ FETCHWAY_ALIASES: '{"a": "b"}' }).aliases, { a: 'b' })
})

test('switches take true, yes, on, 1 and their opposites', () => {
  for (const text of ['false', 'no', 'OFF', '0'])
    assert.equal(read({ FETCHWAY_METRICS: text }).metrics, false)
  for (const text of ['true', 'yes', 'On', '1']) assert.equal(read({ FETCHWAY_METRICS: text }).metrics, true)
})

test('empty variables count as unset', () => {
  assert.deepEqual(read({ FETCHWAY_PORT: '', FETCHWAY_API_KEYS: ' ' }), read({}))
})

test('what Kubernetes sets for a Service of that name is not ours', () => {
  const link = 'tcp://10.0.0.1:8000'
  const links = {
    FETCHWAY_PORT: link,
    FETCHWAY_SERVICE_HOST: '10.0.0.1',
    FETCHWAY_PORT_8000_TCP_ADDR: '10.0.0.1',
  }
  assert.equal(read(links).port, 8000)
})

test('unknown and wrong variables are told by name', () => {
  assert.deepEqual(refuse({ FETCHWAY_QUEUE_SZE: '1' }), [
    'FETCHWAY_QUEUE_SZE: unknown variable; did you mean FETCHWAY_QUEUE_SIZE?',
  ])
  assert.deepEqual(refuse({ FETCHWAY_PORT: 'x' }), ['FETCHWAY_PORT: expected a whole number, got "x"'])
  assert.match(refuse({ FETCHWAY_ALIASES: '{"a"' })[0] ?? '', /^FETCHWAY_ALIASES: looks like JSON/)
})

test('a variable that looks like nothing we know is a warning: it may be for another program', () => {
  const { config, warnings } = { warnings: [], ...load({ environment: { FETCHWAY_URL: 'x' } }) }
  assert.ok(config)
  assert.deepEqual(warnings.map(formatIssue), ['FETCHWAY_URL: unknown variable, which has no effect'])
})

test('.env is told with its line', () => {
  const dotenv = {
    name: '.env',
    text: '# mine\nOTHER=1\nFETCHWAY_PROT=3\nexport FETCHWAY_PORT=x\nno assignment',
  }
  assert.deepEqual(load({ dotenv }).issues.map(formatIssue), [
    '.env:3: FETCHWAY_PROT: unknown variable; did you mean FETCHWAY_PORT?',
    '.env:4: FETCHWAY_PORT: expected a whole number, got "x"',
    '.env:5: cannot be read; write NAME=value, with both quotes if any',
  ])
})

test('.env knows quotes, comments, export and Windows line ends', () => {
  const { assignments, issues } = parseDotenv(
    [
      'A=plain # note',
      "B='a # b'",
      'export C="x\\ny\\"z" # note',
      'D=',
      '  E = spaced  ',
      'F=a#b',
      "G='open",
    ].join('\r\n'),
  )
  assert.deepEqual(
    assignments.map(({ name, value }) => [name, value]),
    [
      ['A', 'plain'],
      ['B', 'a # b'],
      ['C', 'x\ny"z'],
      ['D', ''],
      ['E', 'spaced'],
      ['F', 'a#b'],
    ],
  )
  assert.deepEqual(
    issues.map(({ line }) => line),
    [7],
  )
})
