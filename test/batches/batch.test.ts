import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBatch } from '../../src/batches/batch.ts'

const good = { input_file_id: 'file-1', endpoint: '/v1/responses', completion_window: '24h' }
const codeOf = (body: unknown) => {
  const read = readBatch(body)
  return 'code' in read ? read.code : null
}

test('a batch is made of what was asked for', () => {
  const read = readBatch({ ...good, metadata: { a: 'b' }, unknown: 1 })
  assert.deepEqual(read, { spec: { ...good, metadata: { a: 'b' } }, window: 86_400_000 })
})

test('its output may be kept for a time of its own', () => {
  const read = readBatch({ ...good, output_expires_after: { anchor: 'created_at', seconds: 7200 } })
  assert.equal('outputSeconds' in read && read.outputSeconds, 7200)
})

test('a window that is not named is the one that is taken then, and lasts a day', () => {
  const { completion_window: _, ...rest } = good
  assert.equal(codeOf(rest), 'missing_required_parameter')
  const read = readBatch(rest, '5s')
  assert.ok('spec' in read)
  assert.deepEqual([read.spec.completion_window, read.window], ['5s', 86_400_000])
})

for (const [change, code] of [
  [{ input_file_id: undefined }, 'missing_required_parameter'],
  [{ input_file_id: 7 }, 'missing_required_parameter'],
  [{ endpoint: undefined }, 'missing_required_parameter'],
  [{ endpoint: '/v1/files' }, 'invalid_endpoint'],
  [{ endpoint: '/v1/chat/completions/' }, 'invalid_endpoint'],
  [{ completion_window: 24 }, 'missing_required_parameter'],
  [{ completion_window: 'soon' }, 'invalid_completion_window'],
  [{ completion_window: '0s' }, 'invalid_completion_window'],
  [{ completion_window: '31d' }, 'invalid_completion_window'],
  [{ metadata: 'x' }, 'invalid_metadata'],
  [{ metadata: { a: 1 } }, 'invalid_metadata'],
  [{ metadata: { a: 'x'.repeat(513) } }, 'invalid_metadata'],
  [{ metadata: { ['k'.repeat(65)]: 'x' } }, 'invalid_metadata'],
  [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [n, ''])) }, 'invalid_metadata'],
  [{ output_expires_after: { anchor: 'now', seconds: 7200 } }, 'invalid_expiry'],
  [{ output_expires_after: { anchor: 'created_at', seconds: 60 } }, 'invalid_expiry'],
] as const)
  test(`a batch with ${JSON.stringify(change).slice(0, 60)} is ${code}`, () => {
    assert.equal(codeOf({ ...good, ...change }), code)
  })

for (const body of [null, [], 'x', 7])
  test(`${JSON.stringify(body)} is no batch`, () => assert.equal(codeOf(body), 'invalid_json'))
