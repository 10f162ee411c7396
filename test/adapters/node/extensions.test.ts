import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { lent } from '../../../adapters/node/extensions.ts'
import { machineReadings } from '../../../adapters/node/machine.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-extensions-'))
after(() => rm(directory, { recursive: true }))

test('a module is loaded by its path, and one that is not there is told by it', async () => {
  const path = join(directory, 'callbacks.mjs')
  await writeFile(path, 'export const answer = 42')
  assert.equal((await lent.load(path))['answer'], 42)
  await assert.rejects(
    lent.load('./not-here.mjs'),
    /^Error: \.\/not-here\.mjs can't be loaded: there is no file \/.*not-here\.mjs$/,
  )
})

test('a file is written whole, in a directory that is made for it', async () => {
  const path = join(directory, 'deep', 'answers.jsonl')
  assert.equal(await lent.files.read(path), null)
  await lent.files.write(path, 'one')
  await lent.files.write(path, 'two')
  assert.equal(await lent.files.read(path), 'two')
  assert.equal(await readFile(path, 'utf8'), 'two')
  assert.deepEqual(await readdir(join(directory, 'deep')), ['answers.jsonl'])
})

test('how much of the machine is in use is told in percent, without waiting', () => {
  const read = machineReadings()
  for (let i = 0; i < 2; i++) {
    const { cpu, memory, disk } = read()
    for (const value of [cpu, memory, disk]) assert.ok(value !== undefined && value >= 0 && value <= 100)
    assert.ok((memory ?? 0) > 0)
  }
})
