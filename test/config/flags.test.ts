import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatIssue } from '../../src/config/issues.ts'
import { load } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'

const read = (...flags: string[]): Config => {
  const loaded = load({ flags })
  assert.deepEqual(loaded.issues.map(formatIssue), [])
  assert.ok(loaded.config)
  return loaded.config
}
const refuse = (...flags: string[]): string[] => load({ flags }).issues.map(formatIssue)
const urls = (config: Config): string[] => config.workers.map((worker) => worker.url)

test('plain arguments and --worker are workers, in their order', () => {
  assert.deepEqual(
    urls(read('a:1', '--worker', 'b:2', '--port', '9', 'c:3', '--worker=d:4,e:5', '--', 'f:6')),
    ['http://a:1', 'http://b:2', 'http://c:3', 'http://d:4', 'http://e:5', 'http://f:6'],
  )
})

test('the plural of a repeatable flag means the same', () => {
  assert.deepEqual(urls(read('--workers', 'a:1', 'b:2')), ['http://a:1', 'http://b:2'])
  assert.equal(read('--api-keys', 'k').apiKeys[0]?.key, 'k')
})

test('a prefill worker may name its bootstrap port, also among others', () => {
  const { prefill } = read(
    '--prefill',
    'a:1,9001',
    '--prefill',
    'b:2',
    '--prefill',
    'c,none,d,7',
    '--decode',
    'e',
  )
  assert.deepEqual(prefill, ['http://a:1,9001', 'http://b:2', 'http://c,none', 'http://d,7'])
})

test('a bootstrap port that is none is told', () => {
  assert.deepEqual(refuse('--prefill', 'a:1,99999', '--decode', 'd'), [
    '--prefill: "99999" is no bootstrap port: write URL,PORT with a port from 1 to 65535, or the URL alone',
  ])
})

test('keys keep their commas', () => {
  assert.deepEqual(
    read('--api-key', 'a,b', '--api-key=c').apiKeys.map(({ key }) => key),
    ['a,b', 'c'],
  )
})

test('aliases gather, and their models may hold = and :', () => {
  assert.deepEqual(read('--alias', 'a=org/m:1=x', '--alias=b=c').aliases, { a: 'org/m:1=x', b: 'c' })
  assert.deepEqual(refuse('--alias', 'a'), ['--alias: expected NAME=VALUE, got "a"'])
  assert.deepEqual(refuse('--alias', 'a=b', '--alias', 'a=c'), ['--alias: "a" is given twice; leave one out'])
})

test('switches are set by --metrics, --no-metrics, --metrics=off and --metrics off', () => {
  assert.equal(read('--metrics').metrics, true)
  assert.equal(read('--no-metrics').metrics, false)
  assert.equal(read('--metrics=off').metrics, false)
  const config = read('--metrics', 'off', 'a:1')
  assert.equal(config.metrics, false)
  assert.deepEqual(urls(config), ['http://a:1'])
})

test('the last of a flag that is no list counts', () => {
  assert.equal(read('--port', '1', '--port', '2').port, 2)
})

test('snake_case flags are understood', () => {
  assert.equal(read('--queue_size', '5').queueSize, 5)
})

const REFUSED: readonly (readonly [flags: string[], issue: string])[] = [
  [['--prot', '8'], '--prot: unknown flag; did you mean --port?'],
  [['--worker-urls=a'], '--worker-urls: unknown flag; did you mean --worker?'],
  [['--no-port'], '--no-port: unknown flag; did you mean --port?'],
  [['-port', '8'], '-port: unknown flag; did you mean --port?'],
  [['--xyzzy'], '--xyzzy: unknown flag; see --help'],
  [['--port'], '--port: needs a value'],
  [['--queue-timeout', '--metrics'], '--queue-timeout: needs a value, e.g. 30s'],
  [['--port', 'x'], '--port: expected a whole number, got "x"'],
  [['--port', '1.5'], '--port: expected a whole number, got 1.5'],
  [['--retries', '-1'], '--retries: must be at least 0, got -1'],
  [['--policy'], '--policy: needs a value: one of '],
  [
    ['--log-level', 'verbose'],
    '--log-level: expected one of debug, info, warn, error, silent, got "verbose"',
  ],
  [['--idle-timeout', '5x'], '--idle-timeout: expected a duration like 250ms, 30s, 5m or off, got "5x"'],
  [['--ranks', 'asc'], '--ranks: expected a number or ask, got "asc"'],
  [['--metrics=maybe'], '--metrics: expected true or false, got "maybe"'],
  [['--config'], '--config: needs a file, e.g. --config fetchway.yaml'],
  [['gpu 1'], '"gpu 1": "gpu 1" has a space in it: write each worker URL by itself'],
]

for (const [flags, issue] of REFUSED) {
  test(`refuses ${flags.join(' ')}`, () => {
    const issues = refuse(...flags)
    assert.ok(
      issues.some((line) => line.startsWith(issue)),
      issues.join('\n'),
    )
  })
}
