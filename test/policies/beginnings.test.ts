import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Beginnings } from '../../src/policies/beginnings.ts'

const anyone = () => true

test('the worker with the longest part of a text is found, among those that are here', () => {
  const beginnings = new Beginnings()
  beginnings.add('abcd', 'short')
  beginnings.add('abcdefgh', 'long')
  assert.deepEqual(beginnings.find('abcdefgz', anyone), { worker: 'long', depth: 7 })
  assert.deepEqual(
    beginnings.find('abcdefgz', (worker) => worker === 'short'),
    { worker: 'short', depth: 4 },
  )
  assert.equal(beginnings.find('xyz', anyone), null)
})

test('of several with the same part the first one keeps it', () => {
  const beginnings = new Beginnings()
  beginnings.add('abc', 'first')
  beginnings.add('abc', 'second')
  assert.deepEqual(beginnings.find('abc', anyone), { worker: 'first', depth: 3 })
})

test('what is old is forgotten, what is young is not', () => {
  const beginnings = new Beginnings()
  beginnings.add('the very first one', 'a')
  for (let i = 0; i < 2000; i++) beginnings.add(`${i}`.padStart(6, '0').padEnd(100, 'x'), 'b')
  assert.equal(beginnings.find('the very first one', anyone), null)
  assert.deepEqual(beginnings.find('001999', anyone), { worker: 'b', depth: 6 })
})
