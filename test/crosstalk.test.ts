// A short attack with what bench/fuzz-crosstalk.ts has: nothing of one call may show up in another.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

test('nothing of one call shows up in another', () => {
  const program = join(import.meta.dirname, '../bench/fuzz-crosstalk.ts')
  const args = [program, '3', '--seed', '1', '--clients', '12']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 55_000 })
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  assert.match(stdout, /whole: \d{2,}/)
})
