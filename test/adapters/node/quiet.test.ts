import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const url = (name: string) => JSON.stringify(new URL(`../../../adapters/node/${name}`, import.meta.url).href)

/**
 * MiB in the old generation and of the young one: after work, behind two quiet seconds, behind a collection that would make all
 * as small as can be, and after the first work behind that.
 * `calls`: how many are said to be under way.
 */
const program = (calls: number) => `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { boundNursery } from ${url('nursery.ts')}
  import { useQuiet } from ${url('quiet.ts')}
  boundNursery()
  useQuiet(() => ${calls})
  const space = (name) => getHeapSpaceStatistics().find(({ space_name }) => space_name === name)
  const sizes = () => ({ old: space('old_space').space_used_size / 1048576, young: space('new_space').space_size / 1048576 })
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  let kept = []
  const work = async (rounds) => {
    for (let i = 0; i < rounds; i++) {
      for (let j = 0; j < 2000; j++) kept[(i * 2000 + j) % 40000] = { text: [i, j, i, j, i, j, i, j, i, j] }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await wait(1100)
  await work(400)
  kept = []
  const worked = sizes()
  await wait(2300)
  const rested = sizes()
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  const reduced = sizes()
  await work(60)
  console.log(JSON.stringify({ worked, rested, reduced, again: sizes() }))
`

interface Sizes {
  readonly old: number
  readonly young: number
}

const run = (calls: number) => {
  const args = ['--expose-gc', '--input-type=module-typescript', '--eval', program(calls)]
  const told = execFileSync(process.execPath, args, { encoding: 'utf8' })
  return { told, sizes: JSON.parse(told) as Record<'worked' | 'rested' | 'reduced' | 'again', Sizes> }
}

test('garbage is collected in quiet seconds, and the young generation stays as large as it was', () => {
  const { told, sizes } = run(0)
  assert.ok(sizes.worked.old - sizes.rested.old > 4, told)
  assert.ok(sizes.worked.young > 8, told)
  for (const { young } of [sizes.rested, sizes.reduced, sizes.again])
    assert.ok(young * 2 > sizes.worked.young, told)
})

test('nothing is collected while a call is under way', () => {
  const { told, sizes } = run(1)
  assert.ok(sizes.worked.old - sizes.rested.old < 4, told)
})
