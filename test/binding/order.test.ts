import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ahead } from '../../src/binding/ahead.ts'
import type { Prompt, Service } from '../../src/binding/order.ts'

const prompt = (id: string, seconds: number, sentAt: number, isQuiet = false): Prompt => ({
  id,
  features: [1, seconds, 0],
  tokens: seconds * 20_000,
  seconds,
  reading: seconds,
  sentAt,
  isQuiet,
})

interface Pair {
  /** Seconds of the first and of the one behind it. */
  readonly sent: readonly [number, number]
  /** When their first tokens come, ms; null: never, the call ends. */
  readonly told: readonly [number | null, number | null]
  readonly isQuiet?: boolean
}

/** What an engine is known for after so many pairs. */
function afterPairs(pairs: readonly Pair[], ahead = new Ahead()): Service {
  for (const [i, { sent, told, isQuiet }] of pairs.entries()) {
    const at = i * 100_000
    const ids = [`a${i}`, `b${i}`] as const
    ahead.join(prompt(ids[0], sent[0], at, isQuiet), 1)
    ahead.join(prompt(ids[1], sent[1], at), 1)
    const order = [0, 1].toSorted((a, b) => (told[a] ?? 1e9) - (told[b] ?? 1e9)) as (0 | 1)[]
    for (const which of order) {
      const after = told[which]
      if (after === null) ahead.leave(ids[which], at + 50_000)
      else ahead.first(ids[which], at + (after as number))
    }
  }
  return ahead.order.service
}

const times = (count: number, pair: Pair): Pair[] => Array.from({ length: count }, () => pair)
const KEPT: Pair = { sent: [2, 0.1], told: [2000, 2100] }
const BROKEN: Pair = { sent: [2, 0.1], told: [2000, 300] }

const CASES: readonly (readonly [string, Pair[], Service])[] = [
  ['a few pairs say nothing yet', times(11, KEPT), 'unknown'],
  ['long ones come first each time', times(12, KEPT), 'in_order'],
  ['short ones overtake each time', times(12, BROKEN), 'shared'],
  ['one in twelve overtook', [...times(11, KEPT), BROKEN], 'in_order'],
  ['two in twelve did', [...times(10, KEPT), BROKEN, BROKEN], 'shared'],
  ['it was in order, and is no more', [...times(12, KEPT), ...times(3, BROKEN)], 'shared'],
  ['once found out it is for good', [...times(12, BROKEN), ...times(200, KEPT)], 'shared'],
  ['notes of one step in whatever order', times(30, { sent: [2, 0.1], told: [2000, 1990] }), 'in_order'],
  ['prompts as long as each other say nothing', times(30, { sent: [1, 0.9], told: [1000, 500] }), 'unknown'],
  ['short ones say nothing', times(30, { sent: [0.2, 0.05], told: [200, 100] }), 'unknown'],
  ['calls that end before say nothing', times(30, { sent: [2, 0.1], told: [null, 300] }), 'unknown'],
  ['nor do answers without a first token', times(30, { ...BROKEN, isQuiet: true }), 'unknown'],
]
for (const [name, pairs, service] of CASES)
  test(`whether an engine reads in order: ${name}`, () => assert.equal(afterPairs(pairs), service))

test('an engine that overtook once in a while, long ago, is in order', () => {
  const ahead = new Ahead()
  const pairs = [...times(9, KEPT), BROKEN, ...times(300, KEPT), BROKEN, ...times(9, KEPT)]
  assert.equal(afterPairs(pairs, ahead), 'in_order')
})
