import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkReach } from '../../src/openai/reach.ts'

for (const path of [
  '/v1/a',
  '/v1/a/../b',
  '/v1/a%2Fb/../c//d',
  '/v1/models/a.b..c',
  '/v1/...',
  '/v1/./a',
  '/generate',
])
  test(`${path} may travel`, () => checkReach('GET', path))

for (const path of [
  '/v1/..',
  '/v1/../pause',
  '/v1/.%2E/pause',
  '/v1//../pause',
  '/v1/a/..%2f../pause',
  '/v1/a%2fb/../../pause',
  '/v1/..\\pause',
  '/pause/../v1/responses/a',
  '/x/y/../v1',
])
  test(`${path} may not travel`, () => {
    assert.throws(() => checkReach('GET', path), { code: 'not_found' })
  })
