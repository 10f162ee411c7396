import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChunkTrie } from '../../src/policies/chunk-trie.ts'

const ALL = ['a', 'b', 'c']
const path = (...hashes: number[]) => Float64Array.from(hashes)

test('the workers that had the longest part are found, and how long it is', () => {
  const trie = new ChunkTrie(100)
  trie.add(path(1, 2, 3), 'a')
  trie.add(path(1, 2), 'b')
  assert.deepEqual(trie.find(path(1, 2, 3, 4), ALL), { workers: ['a'], depth: 3 })
  assert.deepEqual(trie.find(path(1, 2, 9), ALL), { workers: ['a', 'b'], depth: 2 })
  assert.deepEqual(trie.find(path(9), ALL), { workers: ALL, depth: 0 })
})

test('workers that are not to be chosen do not count', () => {
  const trie = new ChunkTrie(100)
  trie.add(path(1, 2, 3), 'gone')
  trie.add(path(1), 'b')
  assert.deepEqual(trie.find(path(1, 2, 3), ALL), { workers: ['b'], depth: 1 })
})

test('it forgets the older half when it is full, and never holds more than it may', () => {
  const trie = new ChunkTrie(10)
  for (let hash = 1; hash <= 12; hash++) trie.add(path(hash), 'a')
  assert.equal(trie.find(path(1), ALL).depth, 0)
  for (let hash = 6; hash <= 12; hash++) assert.equal(trie.find(path(hash), ALL).depth, 1, String(hash))
})
