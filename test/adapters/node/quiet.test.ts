import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const url = (name: string) => JSON.stringify(new URL(`../../../adapters/node/${name}`, import.meta.url).href)

/** MiB of the young generation: after work, in a quiet second behind a collection that makes all as small as may be, and after more work. */
const program = `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { boundNursery } from ${url('nursery.ts')}
  import { keepWhenQuiet } from ${url('quiet.ts')}
  boundNursery()
  keepWhenQuiet()
  const size = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size / 1048576
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const kept = []
  const work = async (rounds) => {
    for (let i = 0; i < rounds; i++) {
      for (let j = 0; j < 2000; j++) kept[(i * 2000 + j) % 40000] = { text: [i, j, i, j, i, j, i, j, i, j] }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await work(400)
  const worked = size()
  await wait(2300)
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  const rested = size()
  await work(20)
  console.log(JSON.stringify({ worked, rested, again: size() }))
`

// Node 22 must not be told.
const skip = process.versions.v8.startsWith('12.')

test('behind a rest the young generation is as large as it was', { skip }, () => {
  const args = ['--expose-gc', '--input-type=module-typescript', '--eval', program]
  const told = execFileSync(process.execPath, args, { encoding: 'utf8' })
  const { worked, rested, again } = JSON.parse(told) as Record<'worked' | 'rested' | 'again', number>
  assert.ok(worked > 8, told)
  for (const size of [rested, again]) assert.ok(size * 2 > worked, told)
})
