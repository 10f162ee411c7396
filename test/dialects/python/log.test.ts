import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { pythonLogging } from '../../../src/dialects/python/log.ts'

const layoutOf = (dialect: string) => pythonLogging(dialect)?.layout ?? assert.fail(dialect)
const formatPythonLog = layoutOf('production-stack')
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

  for (const [dialect, line] of [
    ['dlrouter', '[2026-01-02 03:04:05] [WARNING] [dlrouter.router] hello worker=w'],
    ['lmdeploy-proxy', '2026-01-02 03:04:05,006 - lmdeploy - WARNING - proxy.py:0 - hello worker=w'],
    ['distributed-llm-router', '2026-01-02 03:04:05,006 WARNING gateway hello worker=w'],
  ] as const)
    test(`in place of ${dialect} they have its heads, and JSON stays ours`, () => {
      const event = { level: 'warn', message: 'hello', worker: 'w' } as const
      assert.equal(layoutOf(dialect)(event, text), line)
      assert.equal(JSON.parse(layoutOf(dialect)(event, { format: 'json', at })).level, 'warn')
    })

  test('each program’s scripts find them where it writes them, ours on stderr', () => {
    const outputs = ['production-stack', 'dlrouter', 'lmdeploy-proxy', 'distributed-llm-router'].map((one) =>
      (['info', 'error'] as const).map((level) => pythonLogging(one)?.output(level)),
    )
    assert.deepEqual(outputs, [
      ['stdout', 'stderr'],
      ['stdout', 'stdout'],
      ['stdout', 'stdout'],
      ['stderr', 'stderr'],
    ])
    assert.equal(pythonLogging('sglang-router'), undefined)
  })
})
