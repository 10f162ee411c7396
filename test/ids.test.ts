import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeIds } from '../src/ids.ts'

test('ids tell what they are of by their beginning, go on with chance and a count, and none comes twice', () => {
  const { decision, request, chat } = makeIds({ random: () => 0.5 })
  const ids = Array.from({ length: 36 ** 2 + 2 }, () => decision())
  const start = 'd-i0000000i0000000'
  assert.deepEqual(
    [...ids.slice(0, 2), ...ids.slice(35, 37), ids.at(-2)],
    ['0000', '0001', '000z', '0010', '0100'].map((count) => start + count),
  )
  assert.equal(new Set(ids).size, ids.length)
  assert.deepEqual([request(), chat()], ['req-i0000000i00000000000', 'chatcmpl-i0000000i00000000000'])
})
