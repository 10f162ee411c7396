import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration } from '../../src/config/units.ts'
import { lived } from '../_lived.ts'

test('a duration has a unit, is a number of seconds, or is off', () => {
  const known = {
    '250ms': 250,
    '1.5s': 1500,
    ' 5 M ': 300_000,
    '2h': 7_200_000,
    '1d': 86_400_000,
    30: 30_000,
    off: 0,
  }
  for (const [text, ms] of Object.entries(known)) assert.equal(parseDuration(text), ms, text)
  assert.equal(parseDuration(0.5), 500)
})

test('the parts of a duration add up', () => {
  assert.equal(parseDuration('1m30s'), 90_000)
  assert.equal(parseDuration('1h 30m'), 5_400_000)
  assert.equal(parseDuration('1d2h3m4s5ms'), 93_784_005)
  assert.equal(parseDuration('1.5m30s'), 120_000)
})

test('what is no duration is told from one', () => {
  for (const text of [
    '',
    's',
    '1x',
    '-1s',
    '1m30',
    '30s1m',
    '1m1m',
    '1..5s',
    '1e3s',
    '1m,30s',
    'constructor',
    '1 constructor',
  ])
    assert.equal(parseDuration(text), null, text)
  assert.equal(parseDuration(-1), null)
})

test('a long text that is no duration is refused at once', () => {
  const began = lived()
  assert.equal(parseDuration(`${'1s'.repeat(50_000)}!`), null)
  assert.ok(lived() - began < 1000)
})
