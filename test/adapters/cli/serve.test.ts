import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { explainStart, reloadFrom } from '../../../adapters/cli/serve.ts'
import { loadSources } from '../../../adapters/cli/sources.ts'
import { planReload } from '../../../src/config/reload.ts'
import { configSchema, type Config } from '../../../src/config/schema.ts'

let directory = ''
let file = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-reload-'))
  file = join(directory, 'fetchway.yaml')
})
after(() => rm(directory, { recursive: true }))

async function start(text: string): Promise<{ argv: string[]; config: Config }> {
  await writeFile(file, text)
  const argv = ['--config', file]
  const loaded = await loadSources(argv, { directory, environment: {} })
  assert.ok(loaded.config)
  return { argv, config: loaded.config }
}

/** What a reload said and what it gave to the router. */
async function reloaded(
  argv: readonly string[],
  config: Config,
): Promise<{ said: string; taken: Config[]; now: Config }> {
  const taken: Config[] = []
  const { write } = process.stderr
  let said = ''
  process.stderr.write = ((text: string) => {
    said += text
    return true
  }) as typeof write
  try {
    const now = await reloadFrom(() => loadSources(argv), config, { reload: (next) => void taken.push(next) })
    return { said, taken, now }
  } finally {
    process.stderr.write = write
  }
}

test('a changed file is taken over', async () => {
  const { argv, config } = await start('retries: 1')
  await writeFile(file, 'retries: 2\nworkers: [gpu1:8000]')
  const { said, taken, now } = await reloaded(argv, config)
  assert.equal(said, 'fetchway: reloaded: workers, retries\n')
  assert.equal(taken.length, 1)
  assert.equal(now.retries, 2)
})

test('a bad file is refused with its line, and the running configuration stays', async () => {
  const { argv, config } = await start('retries: 1')
  await writeFile(file, 'retries: 2\nretrys: 3')
  const { said, taken, now } = await reloaded(argv, config)
  assert.equal(
    said,
    `fetchway: not reloaded, the running configuration stays: ${file}:2:1: retrys: unknown key; did you mean retries?\n`,
  )
  assert.deepEqual(taken, [])
  assert.equal(now, config)
})

test('where logs are JSON, so is what a reload says', async () => {
  const { argv, config } = await start('logFormat: json\nport: 1')
  await writeFile(file, 'logFormat: json\nport: 2\nretries: 9')
  const good = await reloaded(argv, config)
  await writeFile(file, 'retrys: 3')
  const bad = await reloaded(argv, config)
  const lines = (good.said + bad.said).trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => {
      const { time, level, message } = JSON.parse(line) as Record<string, string>
      assert.ok(Math.abs(Date.parse(time ?? '') - Date.now()) < 60_000)
      return `${level} ${message}`
    }),
    [
      'warn changed, but needs a restart: port',
      'info reloaded: retries',
      `error not reloaded, the running configuration stays: ${file}:1:1: retrys: unknown key; did you mean retries?`,
    ],
  )
})

test('what needs a restart is told and keeps its running value', async () => {
  const { argv, config } = await start('port: 1')
  await writeFile(file, 'port: 2\nretries: 9')
  const { said, taken } = await reloaded(argv, config)
  assert.equal(said, 'fetchway: changed, but needs a restart: port\nfetchway: reloaded: retries\n')
  assert.deepEqual([taken[0]?.port, taken[0]?.retries], [1, 9])
})

test('a router that refuses a configuration keeps the running one', async () => {
  const { argv, config } = await start('retries: 1')
  await writeFile(file, 'retries: 2')
  const { write } = process.stderr
  process.stderr.write = (() => true) as typeof write
  const now = await reloadFrom(() => loadSources(argv), config, {
    reload: () => Promise.reject(new Error('no')),
  })
  process.stderr.write = write
  assert.equal(now, config)
})

test('keys that went away fall back to their default', () => {
  const before = configSchema.parse({ retries: 5, socket: '/s', adminKey: 'k' })
  const { config, changed, needRestart } = planReload(before, configSchema.parse({}))
  assert.deepEqual([config.retries, config.socket, config.adminKey], [3, '/s', undefined])
  assert.deepEqual([changed, needRestart], [['adminKey', 'retries'], ['socket']])
})

test('an address that cannot be had is told with what to do', () => {
  const at = { host: '127.0.0.1', port: 80, socket: undefined }
  const told = (code: string, where: Parameters<typeof explainStart>[1] = at) =>
    explainStart(Object.assign(new Error('x'), { code }), where)
  assert.match(told('EADDRINUSE'), /^127\.0\.0\.1:80 is taken .* --port \(0 takes a free one\)$/)
  assert.match(told('EACCES'), /^127\.0\.0\.1:80 needs rights .* --port, above 1023$/)
  assert.match(told('EACCES', { ...at, socket: '/run/s' }), /^\/run\/s needs rights .* --socket$/)
  assert.match(told('EADDRNOTAVAIL'), /--host/)
  assert.match(told('ENOTFOUND', { ...at, host: 'h' }), /^h is no name .* --host$/)
  assert.equal(told('OTHER'), 'x')
  const onBun = Object.assign(new Error('x'), { code: 'ENOTTY', syscall: 'listen' })
  assert.match(
    explainStart(onBun, at),
    /^127\.0\.0\.1:80 can't be listened on \(ENOTTY\); .* --host, or .* --port$/,
  )
})

test('another program’s flags are named as it calls them, and plain where they have no name', () => {
  const error = Object.assign(new Error('x'), { code: 'EADDRINUSE' })
  const config = configSchema.parse({ port: 80, tlsCert: '/none' })
  assert.match(
    explainStart(error, config, () => '--server_port'),
    /choose another --server_port/,
  )
  assert.match(
    explainStart(error, config, () => undefined),
    /choose another port /,
  )
  const broken = new Error('tlsCert: there is no file /none')
  assert.equal(explainStart(broken, config), '--tls-cert: there is no file /none')
  assert.equal(
    explainStart(broken, config, () => '--ssl-certfile'),
    '--ssl-certfile: there is no file /none',
  )
})
