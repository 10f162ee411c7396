import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fields } from '../../../src/config/fields.ts'
import { helpText } from '../../../adapters/cli/help.ts'

const PROGRAM = new URL('../../../adapters/node.js', import.meta.url).pathname
let directory = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-cli-'))
})
after(() => rm(directory, { recursive: true }))

interface Ended {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

function run(argv: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] ?? '', ...environment }
    const child = spawn(process.execPath, [PROGRAM, ...argv], { cwd: directory, env })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.once('close', (status) => resolve({ status, out, err }))
  })
}

test('the help names every flag, within 100 columns', () => {
  const text = helpText()
  for (const { flag } of fields()) assert.match(text, new RegExp(`--(\\[no-\\])?${flag}\\b`))
  for (const line of text.split('\n')) assert.ok(line.length < 100, line)
})

test('--version and help go to the output, with status 0', async () => {
  const [version, help] = await Promise.all([run(['--version']), run(['help'])])
  assert.equal(version.status, 0)
  assert.match(version.out, /^fetchway \d+\.\d+\.\d+\n$/)
  assert.equal(help.status, 0)
  assert.equal(help.out, helpText())
})

test('unknown commands and flags end with status 2 and one line that helps', async () => {
  const [command, flag] = await Promise.all([run(['srve']), run(['gpu1:8000', '--prot', '9'])])
  assert.equal(command.status, 2)
  assert.match(command.err, /^fetchway: unknown command srve; did you mean serve\?.*\n$/)
  assert.equal(flag.status, 2)
  assert.match(flag.err, /^--prot: unknown flag; did you mean --port\?\n/)
  assert.equal(command.out + flag.out, '')
})

test('config check tells file and line with status 1, and 0 for a good file', async () => {
  await writeFile(join(directory, 'bad.yaml'), 'port: 1\nqueueTimout: 5s\n')
  await writeFile(join(directory, 'good.json'), '{"port": 1, "adminKey": "${ADMIN}"}')
  await writeFile(join(directory, '.env'), 'ADMIN=k\nFETCHWAY_PORT=x')
  const [bad, good, none] = await Promise.all([
    run(['config', 'check', 'bad.yaml']),
    run(['config', 'check', 'good.json'], { FETCHWAY_RETRIES: 'x' }),
    run(['config', 'check', 'none.yaml']),
  ])
  assert.deepEqual(
    [bad.status, bad.err],
    [1, 'bad.yaml:2:1: queueTimout: unknown key; did you mean queueTimeout?\n'],
  )
  assert.deepEqual([good.status, good.out, good.err], [0, 'good.json: good\n', ''])
  assert.deepEqual([none.status, none.err], [1, 'none.yaml: there is no file none.yaml\n'])
})

test('config show tells values and where they came from, without keys', async () => {
  await writeFile(join(directory, '.env'), 'FETCHWAY_CONFIG=show.yaml\nFETCHWAY_RETRIES=7\n')
  await writeFile(join(directory, 'show.yaml'), 'queueTimeout: 90s\nadminKey: s3cret\nmaxBody: 2MiB')
  const { status, out } = await run(['config', 'show', '--port=9', 'gpu1:8000'], { FETCHWAY_QUEUE_SIZE: '5' })
  await rm(join(directory, '.env'))
  assert.equal(status, 0)
  assert.match(out, /^port: 9 +# --port$/m)
  assert.match(out, /^workers: \[.*http:\/\/gpu1:8000.*# --worker$/m)
  assert.match(out, /^queueSize: 5 +# FETCHWAY_QUEUE_SIZE in the environment$/m)
  assert.match(out, /^retries: 7 +# FETCHWAY_RETRIES in \.env:2$/m)
  assert.match(out, /^queueTimeout: "90s" +# show\.yaml:1$/m)
  assert.match(out, /^maxBody: "2MiB" +# show\.yaml:3$/m)
  assert.match(out, /^idleTimeout: "120s" +# default$/m)
  assert.doesNotMatch(out, /s3cret/)
})

test('config schema is JSON Schema with a description of every key', async () => {
  const { out } = await run(['config', 'schema'])
  const schema = JSON.parse(out) as { properties: Record<string, { description?: string }> }
  for (const { key } of fields()) assert.ok(schema.properties[key]?.description, key)
})
