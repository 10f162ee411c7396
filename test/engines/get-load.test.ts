import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { EngineLoad } from '../../src/engines/engine.ts'
import { engineOf } from '../../src/engines/engine.ts'
import { getLoad } from '../../src/engines/get-load.ts'
import { written } from './_ask.ts'

const answers: readonly (readonly [says: string, answer: unknown, expected: EngineLoad | null])[] = [
  ['calls as one number', { load: 7 }, { running: 7, waiting: 0 }],
  [
    'the sum of all ranks',
    [
      { num_reqs: 3, num_waiting_reqs: 1, num_tokens: 20 },
      { num_reqs: 2, num_tokens: 5 },
    ],
    { running: 4, waiting: 1, kvTokens: 25 },
  ],
  ['tokens alone', [{ num_tokens: 5 }], { running: 0, waiting: 0, kvTokens: 5 }],
  ['nothing in an empty list', [], null],
  ['nothing in -1, which stands for a failure', { load: -1 }, null],
  ['nothing in a text', 'busy', null],
]

for (const [says, answer, expected] of answers)
  test(`/get_load tells ${says}`, async () => {
    assert.deepEqual(await getLoad(written({ '/get_load': answer }).ask), expected)
  })

test('a vLLM server without statistics is asked at /get_load last', async () => {
  const { ask, asked } = written({ '/get_load': { load: 2 } })
  assert.deepEqual(await engineOf('vllm')?.load(ask), { running: 2, waiting: 0 })
  assert.deepEqual(asked, ['/metrics', '/load', '/get_load'])
})
