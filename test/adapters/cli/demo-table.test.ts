import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantile, tableOf, totalsOf } from '../../../adapters/cli/demo-table.ts'
import type { Seen } from '../../../adapters/cli/demo-load.ts'

const seen = (more: Partial<Seen>): Seen => ({
  engine: 'a',
  isStream: false,
  isAborted: false,
  failure: null,
  firstToken: null,
  promptTokens: 100,
  cachedTokens: 50,
  outputTokens: 10,
  ...more,
})

test('the table adds up calls per worker and leaves failures out', () => {
  const calls = [
    seen({ isStream: true, firstToken: 10 }),
    seen({ isStream: true, firstToken: 20 }),
    seen({ cachedTokens: 0 }),
    seen({ failure: 'x' }),
  ]
  const workers = [
    { name: 'a', models: ['m', 'n'] },
    { name: 'longer', models: ['m'] },
  ]
  assert.equal(
    tableOf(calls, workers),
    [
      'worker  models  requests  streams  tokens  first token  share  cached',
      '─────────────────────────────────────────────────────────────────────',
      'a       m n            3        2      30        15 ms  100 %    33 %',
      'longer  m              0        0       0            -    0 %       -',
    ].join('\n'),
  )
})

test('the totals count who left, what was retried and what failed', () => {
  const calls = [seen({ firstToken: 5 }), seen({ isAborted: true, firstToken: 9 }), seen({ failure: 'x' })]
  assert.equal(
    totalsOf(calls, 2),
    '3 requests · 1 left by their clients · 2 tried again on another worker · 1 failed · first token p50 9 ms, p99 9 ms',
  )
  assert.doesNotMatch(totalsOf(calls, null), /tried again/)
})

test('quantiles of nothing are 0', () => {
  assert.equal(quantile([], 0.5), 0)
})
