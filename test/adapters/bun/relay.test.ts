// Bun's own relay, in Bun: every byte once and in order, a worker that waits for a slow client, and a leave that is told.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { binary, fileOf } from '../../journeys/_foreign.ts'

const run = promisify(execFile)

test('a client that reads late holds the worker back and gets every byte in order; one that leaves is told of', async () => {
  const { stdout } = await run(binary('bun'), [fileOf('test/adapters/bun/_relay-program.ts')])
  assert.deepEqual(JSON.parse(stdout), { isSame: true, isHeld: true, ends: ['end', 'leave'] })
})
