import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { flagsFor } from '../../../adapters/node/feedback.ts'

test('a V8 that is not known is told nothing', () => {
  for (const version of ['11.3.244.8-node.30', '15.0.1', '']) assert.deepEqual(flagsFor(version, 1000), [])
})

test('this V8 knows what it is told, and prints nothing', () => {
  const flags = flagsFor(process.versions.v8, 1000)
  assert.ok(flags.length > 0)
  const program = `const { setFlagsFromString } = require('node:v8')
    for (const flag of ${JSON.stringify(flags)}) setFlagsFromString(flag)`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--eval', program], { encoding: 'utf8' })
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
})

test('an old process is not told what V8 aborts for while it is at it', () => {
  const [young, old] = [1000, 100_000].map((age) => flagsFor(process.versions.v8, age))
  assert.deepEqual(
    young?.filter((flag) => !old?.includes(flag)),
    ['--memory-reducer-gc-count=0'],
  )
})
