// Seats keep the shape for which V8 has compiled the code that looks at them, whatever fractions their numbers take.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { Seat } from '../../src/actors/seat.ts'
import { member } from './_pool.ts'

const load = {
  running: 1,
  waiting: 0,
  waitingUncachedTokens: 0.5,
  usedTokens: 1,
  capacityTokens: 2,
  usage: 0.5,
  at: 0.5,
}

test('a seat whose numbers take fractions after its first answer has the shape of the others still', () => {
  setFlagsFromString('--allow-natives-syntax')
  const hasSameShape = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (a: Seat, b: Seat) => boolean
  const [busy, idle] = [new Seat(member('a')), new Seat(member('b'))]
  for (const seat of [busy, idle]) seat.measured(0.5)
  const late = [
    'speed',
    'ownTokens',
    'probeAt',
    'busyUntil',
    'failingSince',
    'lastGoodAt',
    'joinedAt',
  ] as const
  for (const field of late) busy[field] = 0.5
  for (const field of ['loadAskedAt', 'reportAskedAt', 'pushedAt'] as const) busy[field] = 0.5
  busy.report(load)
  assert.ok(hasSameShape(busy, idle))
})
