import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { profileTo } from '../../../adapters/node/profile.ts'
import type { LogEvent } from '../../../src/host.ts'

test('a profile is written at the end, as developer tools read it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'profile-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'router.cpuprofile')
  const end = await profileTo(file, () => undefined)
  await end()
  const { nodes, startTime, endTime } = JSON.parse(await readFile(file, 'utf8')) as Record<string, number>
  assert.ok(Array.isArray(nodes) && endTime! > startTime!)
})

test('a profile that cannot be written is told, and holds nobody up', async () => {
  const logged: LogEvent[] = []
  const end = await profileTo('/nowhere/router.cpuprofile', (event) => void logged.push(event))
  await end()
  assert.deepEqual(
    logged.map(({ level }) => level),
    ['error'],
  )
})
