import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { recordTo } from '../../../adapters/node/recording.ts'
import type { LogEvent } from '../../../src/host.ts'

let directory = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-recording-'))
})
after(() => rm(directory, { recursive: true }))

test('lines are appended in their order, behind a heading, all of them there when it is closed, for the owner alone', async () => {
  const path = join(directory, 'a.jsonl')
  const logged: LogEvent[] = []
  const recording = recordTo(path, (event) => logged.push(event))
  for (let i = 0; i < 3; i++) recording.write(`{"line":${i}}`)
  await recording.close()
  assert.equal(await readFile(path, 'utf8'), '{"fetchway_trace":1}\n{"line":0}\n{"line":1}\n{"line":2}\n')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  const again = recordTo(path, (event) => logged.push(event))
  again.write('{"line":3}')
  await again.close()
  assert.match(await readFile(path, 'utf8'), /\n\{"line":2\}\n\{"fetchway_trace":1\}\n\{"line":3\}\n$/)
  assert.deepEqual(logged, [])
})

test('what the disk cannot take yet is bounded, and what is left out is told of once', async () => {
  const path = join(directory, 'b.jsonl')
  const logged: LogEvent[] = []
  const recording = recordTo(path, (event) => logged.push(event))
  const line = 'x'.repeat(1023)
  // All in one turn: nothing can be written in between.
  for (let i = 0; i < 20_000; i++) recording.write(line)
  await recording.close()
  assert.deepEqual(
    logged.map(({ level }) => level),
    ['warn'],
  )
  const { size } = await stat(path)
  assert.ok(size % 1024 === 21 && size >= 8 * 2 ** 20 && size < 10 * 2 ** 20, String(size))
})

test('a file that cannot be written is told of and stops nobody', async () => {
  await writeFile(join(directory, 'file'), '')
  const logged: LogEvent[] = []
  const recording = recordTo(join(directory, 'file', 'c.jsonl'), (event) => logged.push(event))
  recording.write('{}')
  await recording.close()
  assert.match(String(logged[0]?.message), /cannot be written/)
})
