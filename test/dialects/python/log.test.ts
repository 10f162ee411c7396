import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { formatPythonLog } from '../../../src/dialects/python/log.ts'

const at = new Date(2026, 0, 2, 3, 4, 5, 6).getTime()
const text = { format: 'pretty', at } as const

describe('log lines as Python writes them', () => {
  for (const [level, name] of [
    ['debug', 'DEBUG'],
    ['info', 'INFO'],
    ['warn', 'WARNING'],
    ['error', 'ERROR'],
  ] as const) {
    test(`${level} is ${name}`, () => {
      assert.equal(
        formatPythonLog({ level, message: 'hello', worker: 'w 1' }, text),
        `[2026-01-02 03:04:05,006] ${name}: hello worker="w 1" (router:0:vllm_router)`,
      )
    })
  }

  test('a terminal gets the level in colour', () => {
    const line = formatPythonLog({ level: 'warn', message: 'x' }, { ...text, colour: true })
    assert.ok(line.includes('\u001b[33mWARNING\u001b[0m: x'))
  })

  test('JSON has the keys of its formatter, and what an event tells can’t replace them', () => {
    const event = { level: 'info', message: 'hello', lineno: 7, status: 200, api_key: 'k' } as const
    assert.deepEqual(JSON.parse(formatPythonLog(event, { format: 'json', at })), {
      timestamp: '2026-01-02 03:04:05,006',
      level: 'INFO',
      logger: 'vllm_router',
      message: 'hello',
      filename: 'router',
      lineno: 0,
      status: 200,
      api_key: '[hidden]',
    })
  })

  test('only a block has several lines', () => {
    assert.ok(!formatPythonLog({ level: 'info', message: 'a\nb' }, text).includes('\n'))
    const block = formatPythonLog({ level: 'info', message: '\na\nb\u001b', isBlock: true }, text)
    assert.deepEqual(block.split('\n'), [
      '[2026-01-02 03:04:05,006] INFO: ',
      'a',
      'b\\u001b (router:0:vllm_router)',
    ])
  })
})
