import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredWorker } from '../../../src/actors/stored-workers.ts'
import { readNodeFile, writeNodeFile } from '../../../src/dialects/nodes/node-file.ts'

const status = (more: object) =>
  JSON.stringify({ role: 1, models: [], zmq_address: null, speed: null, ...more })

const read = (file: Record<string, unknown>) => readNodeFile(file).get('main/workers') as StoredWorker[]

test('roles, models, speeds and addresses go through the file and back', () => {
  const file = {
    'http://a:1': status({ role: 2, models: ['m'], zmq_address: 'a:2' }),
    'http://b:1': status({ role: 3, models: ['m', 'n'], speed: 2.5 }),
    'http://c:1': status({}),
  }
  const stored = read(file)
  assert.deepEqual(
    stored.map(({ spec }) => [spec.url, spec.role, spec.models, spec.kvAddress, spec.weight]),
    [
      ['http://a:1', 'prefill', ['m'], 'a:2', 1],
      ['http://b:1', 'decode', ['m', 'n'], undefined, 2.5],
      ['http://c:1', 'mixed', undefined, undefined, 1],
    ],
  )
  const written = writeNodeFile(new Map([['main/workers', stored]]))
  assert.deepEqual(Object.keys(written), Object.keys(file))
  assert.deepEqual(read(written), stored)
})

test('the ranks of a server are one worker, and again as many entries', () => {
  const file = Object.fromEntries([0, 1, 2].map((rank) => [`http://a:1@${rank}`, status({ models: ['m'] })]))
  const stored = read(file)
  assert.deepEqual(
    stored.map(({ spec }) => [spec.url, spec.ranks]),
    [['http://a:1', 3]],
  )
  assert.deepEqual(Object.keys(writeNodeFile(new Map([['main/workers', stored]]))), Object.keys(file))
})

test('what is no node is left out, and what is no file of nodes is told', () => {
  assert.deepEqual(read({ 'no url at all': status({}) }), [])
  assert.throws(() => readNodeFile([]), /holds no nodes/)
  assert.throws(() => readNodeFile({ 'http://a:1': '{' }), SyntaxError)
})
