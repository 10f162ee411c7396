import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderView } from '../../adapters/node/headers.ts'
import { isNamed, NameList } from '../../src/forward/names.ts'

test('names are compared without case, and nothing else is the same', () => {
  const same = [
    ['accept', 'Accept'],
    ['X-REQUEST-ID', 'x-request-id'],
    ['_odd', '_ODD'],
    ['', ''],
  ] as const
  for (const [name, other] of same) assert.equal(isNamed(name, other), true, name)
  const different = [
    ['accept', 'expect'],
    ['te', 'ta'],
    // Their first characters differ by the bit alone that tells letters' cases apart.
    ['@a', '`a'],
    ['^a', '~a'],
    ['a', 'aa'],
  ] as const
  for (const [name, other] of different) assert.equal(isNamed(name, other), false, name)
})

test('a list knows its names, and none of the same length', () => {
  const list = new NameList(['te', 'upgrade', 'trailer', 'proxy-authorization'])
  for (const name of ['te', 'upgrade', 'trailer', 'proxy-authorization'])
    assert.equal(list.has(name), true, name)
  for (const name of ['', 'ta', 'traceid', 'x-authorization-xyz', 'a'.repeat(40)])
    assert.equal(list.has(name), false, name)
})

test('headers that come twice are told once, whatever the lengths of the others', () => {
  const view = new HeaderView(['Ab', '1', 'c'.repeat(34), '2', 'XY', '3', 'aB', '4', 'd', '5'])
  const told: string[] = []
  view.forEach((value, name) => told.push(name, value))
  assert.deepEqual(told, ['ab', '1, 4', 'c'.repeat(34), '2', 'xy', '3', 'd', '5'])
  assert.deepEqual([view.get('AB'), view.get('xy'), view.get('zz')], ['1, 4', '3', null])
})
