import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema } from '../../src/config/schema.ts'
import type { Core } from '../../src/core.ts'
import type { Surface } from '../../src/dialects/dialect.ts'
import { headOf, type HeadMemory } from '../../src/openai/head.ts'

const coreOf = (settings: Record<string, unknown> = {}) =>
  ({ config: configSchema.parse({ workers: ['http://w'], ...settings }), surface: null }) as unknown as Core

const requestOf = (headers: Record<string, string>, memory?: HeadMemory) =>
  Object.assign(new Request('http://a/', { headers }), memory && { memory })

test('a head is read as its headers tell it', () => {
  const core = coreOf({ sessionHeaders: ['x-one', 'x-two'], requestIdHeaders: ['x-id', 'x-other-id'] })
  const facts = headOf(
    core,
    requestOf({
      'x-one': '',
      'x-two': 's',
      'x-id': 'i'.repeat(300),
      'x-other-id': 'mine',
      'x-priority': '7',
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      authorization: 'Bearer k',
    }),
  )
  const { idName, requestId, session, priority, encoding, type, headers } = facts
  assert.deepEqual(
    { idName, requestId, session, priority, encoding, type, keys: headers.keys },
    {
      idName: 'x-id',
      requestId: 'mine',
      session: 's',
      priority: 7,
      encoding: 'gzip',
      type: 'application/json',
      keys: ['authorization', 'Bearer k'],
    },
  )
})

test('a head that says nothing has nothing, and a priority that is no number is one that was given', () => {
  const { requestId, session, priority, encoding, type } = headOf(coreOf(), requestOf({}))
  assert.deepEqual([requestId, session, priority, encoding, type], [null, null, null, null, ''])
  assert.ok(Number.isNaN(headOf(coreOf(), requestOf({ 'x-priority': 'high' })).priority))
})

test('what was read of a head is remembered with it, and nowhere else', () => {
  const core = coreOf()
  const memory = {}
  const facts = headOf(core, requestOf({ 'x-priority': '1' }, memory))
  // The host vouches for the head being the same: it is not looked at.
  assert.equal(headOf(core, requestOf({ 'x-priority': '2' }, memory)), facts)
  assert.equal(headOf(core, requestOf({ 'x-priority': '2' }, {})).priority, 2)
  assert.equal(headOf(core, requestOf({ 'x-priority': '2' })).priority, 2)
})

test('another configuration, or a dialect that came, reads the head anew', () => {
  const core = coreOf()
  const memory = {}
  const request = requestOf({ authorization: 'Bearer k' }, memory)
  assert.deepEqual(headOf(core, request).headers.keys, ['authorization', 'Bearer k'])
  core.config = coreOf({ apiKeys: ['k'] }).config
  assert.deepEqual(headOf(core, request).headers.keys, [])
  core.surface = { idName: 'x-theirs' } as Surface
  assert.equal(headOf(core, request).idName, 'x-theirs')
})
