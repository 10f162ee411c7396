import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readArguments, valuesOf } from '../../src/dialects/argparse.ts'
import type { DialectFlag } from '../../src/dialects/flag.ts'

const table: readonly DialectFlag[] = [
  { names: ['--host'], initial: '127.0.0.1', release: '0.0.0.0', about: '' },
  { names: ['--port', '-p'], kind: 'integer', initial: 30000, about: '' },
  { names: ['--ratio'], kind: 'number', about: '' },
  { names: ['--worker-urls'], takes: '*', initial: [], about: '' },
  { names: ['--selector'], takes: '+', about: '' },
  { names: ['--prefill'], takes: '+', isRepeatable: true, about: '' },
  { names: ['--decode'], isRepeatable: true, about: '' },
  { names: ['--disable-retries'], kind: 'switch', initial: false, about: '' },
  { names: ['--no-color'], kind: 'denial', dest: 'color', initial: true, about: '' },
  { names: ['--policy'], choices: ['random', 'round_robin'], about: '' },
  { names: ['--prometheus-port'], kind: 'integer', about: '' },
  { names: ['--prometheus-host'], about: '' },
  { names: ['--maybe'], takes: '?', about: '' },
  { names: ['--mini'], kind: 'switch', inert: 'it is not here', about: '' },
]

const read = (line: string) => readArguments(line === '' ? [] : line.split(' '), table)
const given = (line: string) =>
  Object.fromEntries([...read(line).given].map(([dest, { value }]) => [dest, value]))

const UNDERSTOOD: readonly (readonly [string, Record<string, unknown>])[] = [
  ['--port 8000', { port: 8000 }],
  ['--port=8000', { port: 8000 }],
  ['-p 8000', { port: 8000 }],
  ['--port 1 --port 2', { port: 2 }],
  ['--port 1_000', { port: 1000 }],
  ['--port -1', { port: -1 }],
  ['--ratio -.5', { ratio: -0.5 }],
  ['--ratio 1e-3', { ratio: 0.001 }],
  ['--worker-urls a b c --port 1', { worker_urls: ['a', 'b', 'c'], port: 1 }],
  ['--worker-urls', { worker_urls: [] }],
  ['--worker-urls=a', { worker_urls: ['a'] }],
  ['--selector a=b c=d', { selector: ['a=b', 'c=d'] }],
  ['--prefill a 9000 --prefill b none --prefill c', { prefill: [['a', '9000'], ['b', 'none'], ['c']] }],
  ['--decode a --decode b', { decode: ['a', 'b'] }],
  ['--disable-retries', { disable_retries: true }],
  ['--no-color', { color: false }],
  ['--disable', { disable_retries: true }],
  ['--wor a', { worker_urls: ['a'] }],
  ['--prometheus-p 1', { prometheus_port: 1 }],
  ['--maybe', { maybe: null }],
  ['--maybe x', { maybe: 'x' }],
  ['--policy random', { policy: 'random' }],
]

for (const [line, values] of UNDERSTOOD)
  test(`${line} is understood as argparse does`, () => {
    assert.deepEqual(read(line).problems, [])
    assert.deepEqual(given(line), values)
  })

const REFUSED: readonly (readonly [string, string])[] = [
  ['--port x', "argument --port/-p: invalid int value: 'x'"],
  ['--port 1.5', "argument --port/-p: invalid int value: '1.5'"],
  ['--ratio x', "argument --ratio: invalid float value: 'x'"],
  ['--port', 'argument --port/-p: expected one argument'],
  ['--port --ratio 1', 'argument --port/-p: expected one argument'],
  ['--selector', 'argument --selector: expected at least one argument'],
  ['--prom 1', 'ambiguous option: --prom could match --prometheus-port, --prometheus-host'],
  ['--policy best', "argument --policy: invalid choice: 'best' (choose from random, round_robin)"],
  ['--disable-retries=yes', "argument --disable-retries: ignored explicit argument 'yes'"],
  ['--wrong 1', 'unrecognized arguments: --wrong 1'],
  ['--hosts=a', 'unrecognized arguments: --hosts=a; did you mean --host?'],
]

for (const [line, problem] of REFUSED)
  test(`${line} is refused as argparse does`, () => {
    assert.deepEqual(read(line).problems, [problem])
  })

test('an unambiguous beginning of one flag with two names is that flag', () => {
  const { problems } = readArguments(['--wo', '1'], [{ names: ['--work', '--worker'], about: '' }])
  assert.deepEqual(problems, [])
})

test('words that belong to no flag, and all after two dashes, are words', () => {
  assert.deepEqual(read('one --port 1 two -- --host x').words, ['one', 'two', '--host', 'x'])
})

test('help and version are asked for by their usual names', () => {
  assert.equal(read('--help').wantsHelp, true)
  assert.equal(read('-V').wantsVersion, true)
})

test('a flag without effect says why, once', () => {
  assert.deepEqual(read('--mini --mini').inert, [{ name: '--mini', why: 'it is not here' }])
})

test('the flag is named as it was written', () => {
  assert.equal(read('--prometheus-p 1').given.get('prometheus_port')?.name, '--prometheus-p')
})

test('defaults are those of the README, or of the current release', () => {
  const values = (defaults: 'readme' | 'release') => valuesOf(table, read('--port 1').given, defaults)
  assert.deepEqual([values('readme')['host'], values('release')['host']], ['127.0.0.1', '0.0.0.0'])
  assert.equal(values('release')['port'], 1)
  assert.equal(values('readme')['color'], true)
})
