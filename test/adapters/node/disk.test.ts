import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileStorage } from '../../../adapters/node/disk.ts'
import type { LogEvent } from '../../../src/host.ts'

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'state-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'state.json')
}

const silent = () => undefined

test('what was put is there after a restart, and for nobody else to read', async (t) => {
  const path = place(t)
  const before = fileStorage(path, silent)
  await Promise.all([before.put('a', [1]), before.put('b', { key: 'secret' }), before.put('c', 3)])
  await before.delete('c')
  const after = fileStorage(path, silent)
  assert.deepEqual(
    [await after.get('a'), await after.get('b'), await after.get('c')],
    [[1], { key: 'secret' }, undefined],
  )
  assert.equal(statSync(path).mode & 0o077, 0)
  assert.deepEqual(readdirSync(join(path, '..')), ['state.json'])
})

test('a broken file is moved aside with a warning', async (t) => {
  const path = place(t)
  writeFileSync(path, '{"a": [1')
  const events: LogEvent[] = []
  const storage = fileStorage(path, (event) => events.push(event))
  assert.equal(await storage.get('a'), undefined)
  await storage.put('a', 2)
  assert.deepEqual([events[0]?.level, readFileSync(`${path}.corrupt`, 'utf8')], ['warn', '{"a": [1'])
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { a: 2 })
})

test('a file that cannot be written fails the put, and the next one can succeed', async (t) => {
  const path = place(t)
  // Where the folder should be there is a file.
  writeFileSync(path, '')
  const storage = fileStorage(join(path, 'x'), silent)
  await assert.rejects(storage.put('a', 1))
  rmSync(path)
  await storage.put('b', 2)
  assert.deepEqual(JSON.parse(readFileSync(join(path, 'x'), 'utf8')), { a: 1, b: 2 })
})

test('without a path nothing is written', async () => {
  const storage = fileStorage(undefined, silent)
  await storage.put('a', 1)
  assert.equal(await storage.get('a'), 1)
})
