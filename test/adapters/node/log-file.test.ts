import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createLog } from '../../../adapters/node/log.ts'
import { keepIn } from '../../../adapters/node/log-file.ts'

let directory = ''
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-logs-'))
})
after(() => rm(directory, { recursive: true }))

const never = (problem: string) => assert.fail(problem)

test('each day has its file, in a directory that is made', async () => {
  const logDir = join(directory, 'deep', 'logs')
  let now = Date.UTC(2026, 0, 31, 23, 59)
  const keep = keepIn(logDir, undefined, { now: () => now, complain: never })
  keep('one\n')
  keep('two\n')
  now += 60_000
  keep('three\n')
  assert.deepEqual((await readdir(logDir)).toSorted(), ['fetchway.2026-01-31', 'fetchway.2026-02-01'])
  assert.equal(await readFile(join(logDir, 'fetchway.2026-01-31'), 'utf8'), 'one\ntwo\n')
})

test('in place of another router the files have its name', async () => {
  for (const dialect of ['sglang-router', 'vllm-router'])
    keepIn(directory, dialect, { now: () => 0, complain: never })('x\n')
  const names = (await readdir(directory)).filter((name) => name.endsWith('1970-01-01'))
  assert.deepEqual(names.toSorted(), ['smg.1970-01-01', 'vllm-router.1970-01-01'])
})

test('a directory that cannot be written is told once', () => {
  const told: string[] = []
  const keep = keepIn('/dev/null/logs', undefined, { now: () => 0, complain: (one) => told.push(one) })
  keep('x\n')
  keep('y\n')
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /no log lines in \/dev\/null\/logs/)
})

test('what is logged is kept without colours, and shown as before', async () => {
  const shown: string[] = []
  const logDir = join(directory, 'both')
  const config = { logLevel: 'info', logFormat: 'pretty', logDir } as const
  const log = createLog(config, (line) => shown.push(line), true)
  log({ level: 'info', message: 'hello' })
  log({ level: 'debug', message: 'hidden' })
  const [name = ''] = await readdir(logDir)
  const kept = await readFile(join(logDir, name), 'utf8')
  assert.match(kept, /hello/)
  assert.ok(!kept.includes('hidden') && !kept.includes('\u001B'))
  assert.equal(shown.length, 1)
})
