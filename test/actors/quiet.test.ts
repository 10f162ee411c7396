import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Quiet } from '../../src/actors/quiet.ts'

test('calls are taken in the order in which they came, none before it is due', () => {
  const quiet = new Quiet()
  quiet.add('a', 10)
  quiet.add('b', 30)
  quiet.add('c', 20)
  assert.deepEqual([quiet.take(9), quiet.take(10), quiet.take(29)], [null, 'a', null])
  assert.deepEqual([quiet.take(30), quiet.take(30), quiet.take(Infinity)], ['b', 'c', null])
})

test('a line that was empty is not held up by who was there before', () => {
  const quiet = new Quiet()
  quiet.add('late', 100)
  assert.equal(quiet.take(100), 'late')
  quiet.add('soon', 50)
  assert.equal(quiet.take(50), 'soon')
})

test('a long line keeps its order, wherever it begins', () => {
  const quiet = new Quiet()
  const expected: string[] = []
  const taken: (string | null)[] = []
  for (let i = 0; i < 500; i++) {
    quiet.add(`call-${i}`, i)
    expected.push(`call-${i}`)
    if (i % 3 === 0) taken.push(quiet.take(i))
  }
  for (let id = quiet.take(500); id !== null; id = quiet.take(500)) taken.push(id)
  assert.deepEqual(taken, expected)
})
