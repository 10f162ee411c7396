// The program on Bun starts once more with settings that it can't make later.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { binary, fileOf } from '../../journeys/_foreign.ts'

const run = promisify(execFile)
const ARGS = ['--smol', fileOf('test/adapters/bun/_restart-program.ts'), '--port', '0']
const GIVEN = { BUN_JSC_forceCodeBlockLiveness: '0', MIMALLOC_PURGE_DELAY: '10', MIMALLOC_PURGE_HOLES: '1' }

/** What it printed: a process id for each start, and what it had in the end. */
async function start(env: Record<string, string>) {
  const { stdout, stderr } = await run(binary('bun'), ARGS, { env: { ...process.env, ...env, OWN: 'a b' } })
  assert.equal(stderr, '')
  const lines = stdout.split('\n')
  const { left, ...had } = JSON.parse(lines.pop()!) as { left: string[] }
  assert.deepEqual(had, { args: ['--port', '0'], execArgv: ['--smol'], own: 'a b' })
  return { pids: lines, left }
}

test('the program starts once more, as the same process, with all that it was given; what it starts gets no settings of ours', async () => {
  const { pids, left } = await start({})
  assert.equal(pids.length, 2)
  assert.equal(pids[0], pids[1])
  assert.deepEqual(left, [])
})

test('a setting that is given stays, and only what is missing is set', async () => {
  const { pids, left } = await start({ MIMALLOC_PURGE_DELAY: '10' })
  assert.equal(pids.length, 2)
  assert.deepEqual(left, ['MIMALLOC_PURGE_DELAY'])
})

test('where all settings are given it starts but once', async () => {
  const { pids, left } = await start(GIVEN)
  assert.equal(pids.length, 1)
  assert.deepEqual(left.toSorted(), Object.keys(GIVEN).toSorted())
})
