import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createLogger } from '../../src/metrics/log.ts'
import { formatLog } from '../../src/metrics/pretty.ts'
import type { LogEvent } from '../../src/host.ts'

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 6)
const pretty = (event: LogEvent) => formatLog(event, { format: 'pretty', at })
const parse = (event: LogEvent) =>
  JSON.parse(formatLog(event, { format: 'json', at })) as Record<string, unknown>

test('a pretty line has time, level, message and details', () => {
  assert.equal(
    pretty({
      level: 'info',
      message: 'worker is up',
      worker: 'w-1',
      models: 2,
      role: 'mixed',
      note: 'two words',
    }),
    '2026-01-02T03:04:05.006Z INFO  worker is up worker=w-1 models=2 role=mixed note="two words"',
  )
})

test('a JSON line holds the same', () => {
  assert.deepEqual(parse({ level: 'warn', message: 'worker is down', worker: 'w-1', after: 1.5 }), {
    time: '2026-01-02T03:04:05.006Z',
    level: 'warn',
    message: 'worker is down',
    worker: 'w-1',
    after: 1.5,
  })
})

test('colours come only when asked for', () => {
  const event: LogEvent = { level: 'error', message: 'x' }
  assert.equal(pretty(event).includes('\u001b'), false)
  assert.ok(formatLog(event, { format: 'pretty', at, colour: true }).includes('\u001b[31mERROR'))
  assert.equal(formatLog(event, { format: 'json', at, colour: true }).includes('\u001b'), false)
})

test('secrets, prompts and bodies are hidden, however deep and however spelled', () => {
  const secret = 'sk-very-secret'
  for (const key of [
    'authorization',
    'Authorization',
    'apiKey',
    'api_key',
    'x-api-key',
    'prompt',
    'messages',
    'body',
    'content',
    'headers',
  ]) {
    const event: LogEvent = {
      level: 'info',
      message: 'm',
      [key]: secret,
      nested: { list: [{ [key]: [secret] }] },
    }
    assert.equal(pretty(event).includes(secret), false, key)
    assert.equal(formatLog(event, { format: 'json', at }).includes(secret), false, key)
    assert.equal(parse(event)[key], '[hidden]')
  }
})

test('counts of tokens are no secret', () => {
  assert.ok(
    pretty({ level: 'info', message: 'm', tokens: 5, prompt_tokens: 7 }).endsWith('tokens=5 prompt_tokens=7'),
  )
})

test('no value can begin a new line or steer the terminal', () => {
  const nasty = 'a\nb\r\nINFO fake\u001b[2J\u2028c\u0085d\u202ee'
  const event: LogEvent = { level: 'info', message: nasty, value: nasty, list: [nasty], [nasty]: 'x' }
  for (const format of ['pretty', 'json'] as const) {
    const line = formatLog(event, { format, at })
    // oxlint-disable-next-line no-control-regex -- controls are what is looked for
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/)
  }
  assert.equal(parse(event)['value'], nasty)
})

test('a value with spaces or an equals sign is quoted, so that it can’t look like another detail', () => {
  assert.ok(pretty({ level: 'info', message: 'm', worker: 'w status=200' }).endsWith('worker="w status=200"'))
})

test('long texts, deep objects and long lists are cut', () => {
  let deep: unknown = 'end'
  for (let level = 0; level < 100; level++) deep = { deep }
  const event: LogEvent = {
    level: 'info',
    message: 'm'.repeat(1e6),
    text_of_it: 'x'.repeat(1e6),
    deep,
    list: Array(1e5).fill(1),
  }
  for (const format of ['pretty', 'json'] as const)
    assert.ok(formatLog(event, { format, at }).length < 10_000)
})

test('an event that holds itself, an error or bytes is still written', () => {
  const loop: Record<string, unknown> = {}
  loop['self'] = loop
  const line = pretty({
    level: 'error',
    message: 'm',
    loop,
    error: new Error('broken'),
    bytes: new Uint8Array(3),
    big: 1n,
  })
  assert.match(line, /broken/)
  assert.match(line, /\[3 bytes\]/)
})

test('details can’t replace time, level or message', () => {
  const event = { level: 'info', message: 'm', time: 'never' } as const
  assert.equal(parse(event)['time'], '2026-01-02T03:04:05.006Z')
  assert.equal(parse(event)['event_time'], 'never')
})

test('a logger writes its level and above', () => {
  const written = (level: 'debug' | 'info' | 'warn' | 'error' | 'silent') => {
    const lines: string[] = []
    const log = createLogger({
      level,
      layout: ({ message }) => message,
      write: (line) => void lines.push(line),
      now: () => at,
    })
    for (const one of ['debug', 'info', 'warn', 'error'] as const) log({ level: one, message: one })
    return lines
  }
  assert.deepEqual(written('debug'), ['debug', 'info', 'warn', 'error'])
  assert.deepEqual(written('warn'), ['warn', 'error'])
  assert.deepEqual(written('silent'), [])
})
