// Bun's own relay, in Bun: every byte once and in order, a worker that waits for a slow client, a leave that is told, and a
// break before the first byte.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { binary, fileOf } from '../../journeys/_foreign.ts'

const run = promisify(execFile)

const { stdout } = await run(binary('bun'), [fileOf('test/adapters/bun/_relay-program.ts')])
const { refused, ...told } = JSON.parse(stdout) as Record<string, unknown>

test('a client that reads late holds the worker back and gets every byte in order; one that leaves is told of', () => {
  assert.deepEqual(told, { isSame: true, isHeld: true, ends: ['end', 'leave'] })
})

test('an answer that breaks before any of it is out is a 502', () => {
  assert.deepEqual(refused, [502, 'worker_died'])
})
