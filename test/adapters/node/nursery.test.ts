import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

/** Sizes of the young generation, MiB: while much is made that lives on for a while, and around a collection that gives memory back. */
const program = `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { boundNursery } from ${JSON.stringify(new URL('../../../adapters/node/nursery.ts', import.meta.url).href)}
  boundNursery()
  const size = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size / 1048576
  const kept = []
  const work = async () => {
    let most = 0
    for (let i = 0; i < 300; i++) {
      for (let j = 0; j < 2000; j++) kept[(i * 2000 + j) % 20000] = { text: [i, j, i, j, i, j, i, j, i, j] }
      most = Math.max(most, size())
      await new Promise((resolve) => setImmediate(resolve))
    }
    return most
  }
  const grown = await work()
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  const shrunk = size()
  await new Promise((resolve) => setTimeout(resolve, 1200))
  console.log(JSON.stringify({ grown, shrunk, again: await work() }))
`

test('the young generation grows up to a limit, and does so again after it was made small', () => {
  const args = ['--expose-gc', '--input-type=module-typescript', '--eval', program]
  const told = execFileSync(process.execPath, args, { encoding: 'utf8' })
  const { grown, shrunk, again } = JSON.parse(told) as Record<'grown' | 'shrunk' | 'again', number>
  assert.ok(shrunk < grown && shrunk <= 8, told)
  // Where V8 hears late that it is enough, it has grown once more: it would go to far more.
  for (const size of [grown, again]) assert.ok(size > 8 && size <= 20, told)
})

/** Size of the heap, MiB, behind a collection, and the most while all that lives is replaced again and again. */
const littering = `
  import { boundNursery } from ${JSON.stringify(new URL('../../../adapters/node/nursery.ts', import.meta.url).href)}
  boundNursery()
  const used = () => process.memoryUsage().heapUsed / 1048576
  const large = () => new Array(65_536).fill(0)
  const kept = Array.from({ length: 64 }, large)
  gc()
  const alive = used()
  let most = 0
  for (let i = 0; i < 300; i++) {
    kept[i % 64] = large()
    most = Math.max(most, used())
    await new Promise((resolve) => setImmediate(resolve))
  }
  console.log(JSON.stringify({ alive, most }))
`

test('all is collected when there is as much garbage as is alive', () => {
  const args = ['--expose-gc', '--input-type=module-typescript', '--eval', littering]
  const told = execFileSync(process.execPath, args, { encoding: 'utf8' })
  const { alive, most } = JSON.parse(told) as Record<'alive' | 'most', number>
  assert.ok(most > alive * 1.8 && most < alive * 3.2, told)
})
