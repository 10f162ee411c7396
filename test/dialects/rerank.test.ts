// What both Rust routers make of a worker's list of results.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byScore } from '../../src/dialects/gateway/rerank.ts'

test('the vLLM router puts the best first, and what has no score last', () => {
  const results = [{ index: 0, score: 0.1 }, { index: 1 }, { index: 2, score: 0.9 }]
  assert.deepEqual(
    results.toSorted(byScore).map(({ index }) => index),
    [2, 0, 1],
  )
})
