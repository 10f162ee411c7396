// The journeys on Deno: its own server and fetch, in a process of its own; and its programs.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileOf, Resident } from './_foreign.ts'
import { journeys } from './_journeys.ts'
import { programs, Running } from './_programs.ts'
import { chat, CHAT, engine, eventually, W1, WORKERS } from './_rig.ts'
import { freePort, listenAll } from './_sockets.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-deno-'))
after(() => rm(directory, { recursive: true, force: true }))
const resident = new Resident('deno', ['run', '--quiet', '--no-prompt', '--allow-all'])

journeys({
  name: 'deno',
  open: (config, fleet, options) => resident.open(config, fleet, { ...options, directory }),
  gaps: ['real-clock'],
})

/** As in deno.json: without `LOG_…` the YAML parser would not load, and without `NO_COLOR` no log to a terminal. */
const ENVIRONMENT =
  '--allow-env=FETCHWAY_*,LOG_STREAM,LOG_TOKENS,NO_COLOR,WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE'
const LEAST = ['--quiet', '--no-prompt', '--allow-net', '--allow-read', '--allow-write=.', ENVIRONMENT]
const PROGRAM = fileOf('adapters/deno/program.ts')
const QUIET = { FETCHWAY_HEALTH_INTERVAL: 'off', FETCHWAY_LOG_LEVEL: 'error' }

programs({ name: 'deno', args: ['run', ...LEAST, PROGRAM] })

describe('deno: deno serve and Deno KV', () => {
  // Unlike `deno run`, it looks for deno.json in the working directory.
  const served = ['serve', ...LEAST, '--config', fileOf('deno.json'), '--port', '0']
  const begin = (args: readonly string[], own: readonly string[]) =>
    new Running({ name: 'deno', args }, own, { directory, env: QUIET }).listens()

  it('deno serve answers by the same configuration, and finishes streams at SIGTERM', async () => {
    const url = (await listenAll({ [W1]: engine() })).get(W1)!
    const router = await begin([...served, '--host', '127.0.0.1', fileOf('adapters/deno.ts')], [url])
    await eventually(
      async () => (await router.ask('/readyz')).status === 200,
      () => router.errors,
    )
    assert.equal((await router.ask(WORKERS)).body.data.length, 1)
    const headers = { 'content-type': 'application/json', 'x-fault': 'slow=10ms' }
    const body = JSON.stringify(chat({ stream: true, max_tokens: 30 }))
    const stream = await fetch(router.url + CHAT, { method: 'POST', headers, body })
    const ended = router.stop()
    assert.match(await stream.text(), /data: \[DONE\]\n\n$/)
    assert.equal(await ended, 0)
  })

  it('deno serve on an open address closes the control plane, whatever the configuration says', async () => {
    const own = ['--host', '127.0.0.1', 'http://127.0.0.1:9']
    const router = await begin([...served, '--host', '0.0.0.0', fileOf('adapters/deno.ts')], own)
    const { status, body } = await router.ask(WORKERS)
    assert.deepEqual([status, body.error.code], [403, 'admin_closed'])
    await router.stop()
  })

  it('Deno KV keeps workers, however much there is to keep', async () => {
    const port = await freePort()
    const program = ['run', ...LEAST, '--unstable-kv', PROGRAM]
    const own = ['--port', String(port)]
    const before = await begin(program, own)
    for (const name of ['a', 'b', 'c']) {
      const added = { url: `http://127.0.0.1:9/${name}`, labels: { note: 'ü'.repeat(40_000) } }
      assert.equal((await before.ask(WORKERS, added)).status, 201)
    }
    const { body } = await before.ask(WORKERS)
    await fetch(`${before.url}${WORKERS}/${body.data[0].id}`, { method: 'DELETE' })
    await before.stop()
    const again = await begin(program, own)
    const kept = (await again.ask(WORKERS)).body.data
    assert.deepEqual(
      kept.map(({ url, labels }: { url: string; labels: { note: string } }) => [url, labels.note.length]),
      [
        ['http://127.0.0.1:9/b', 40_000],
        ['http://127.0.0.1:9/c', 40_000],
      ],
    )
    await again.stop()
  })

  it('several routers share the workers that are kept in a named part of Deno KV', async () => {
    const program = ['run', ...LEAST, '--unstable-kv', PROGRAM]
    const own = ['--port', '0', '--state', 'kv:fleet']
    const [one, two] = await Promise.all([begin(program, own), begin(program, own)])
    const listed = async (router: typeof one) =>
      (await router.ask(WORKERS)).body.data.map(({ url }: { url: string }) => url)
    assert.equal((await one.ask(WORKERS, { url: 'http://127.0.0.1:9/shared' })).status, 201)
    await eventually(
      async () => (await listed(two)).includes('http://127.0.0.1:9/shared'),
      () => `the other does not know of it: ${two.errors}`,
    )
    await Promise.all([one.stop(), two.stop()])
  })
})
