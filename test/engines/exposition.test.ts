import { test } from 'node:test'
import assert from 'node:assert/strict'
import { byRank, labelOf, numberLabel, samplesOf } from '../../src/engines/exposition.ts'

test('samples are found at line starts only, and only of that very name', () => {
  const text = '# HELP up Whether up 5\nup_since 7\nxup 9\nup{a="1"} 2\nup 3'
  assert.deepEqual(samplesOf(text, 'up'), [
    { labels: 'a="1"', value: 2 },
    { labels: '', value: 3 },
  ])
})

test('a timestamp, an exponent and braces in a label value do not confuse it', () => {
  assert.deepEqual(samplesOf('m{p="a{b} c"} 1.5e3 1700000000\n', 'm'), [
    { labels: 'p="a{b} c"', value: 1500 },
  ])
})

test('samples without a number are left out', () => {
  assert.deepEqual(samplesOf('m NaN\nm{a="1"} +Inf\nm\nm{\n', 'm'), [])
})

test('a label is found by its whole name', () => {
  assert.equal(labelOf('hash_block_size="8",block_size="16"', 'block_size'), '16')
  assert.equal(labelOf('a="1"', 'b'), null)
  assert.equal(numberLabel('block_size="None"', 'block_size'), null)
})

test('ranks keep their largest value', () => {
  const samples = samplesOf('m{r="0"} 1\nm{r="0"} 3\nm{r="1"} 2\n', 'm')
  assert.deepEqual(byRank(samples, 'r'), [3, 2])
})
