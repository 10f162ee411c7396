import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Program } from '../../cli/_process.ts'
import { DONE, delta, engine, LAST, type EngineCall } from '../../../promises/_engine.ts'
import { eventually, open, send, STREAM } from '../../../promises/_router.ts'

/** Runs the program in a folder of its own. */
function run(t: TestContext, ...argv: string[]): Program {
  const folder = mkdtempSync(join(tmpdir(), 'threads-'))
  const program = new Program(argv, folder)
  t.after(async () => {
    program.signal('SIGKILL')
    await program.ended
    rmSync(folder, { recursive: true })
  })
  return program
}

const half = (call: EngineCall) => void call.begin().write(delta('a'))
const get = (url: string, path: string) => send(url, { method: 'GET', path })

test('SIGTERM: every thread says at once that it is not ready, streams of all threads end whole, status 0', async (t) => {
  const upstream = await engine(t, half)
  const program = run(t, '--threads', '2', '--port', '0', '--admin-listen', '127.0.0.1:0', upstream.url)
  const [, url = '', adminUrl = ''] = await program.says(/Listening on (\S+), control plane on (\S+)\n/)
  const streams = Array.from({ length: 12 }, () => open(url, { body: STREAM }))
  await Promise.all(streams.map((stream) => stream.sees('"a"')))
  const status = JSON.parse((await get(adminUrl, '/fetchway/v1/status')).text) as { live: number }
  assert.equal(status.live, 12)
  program.signal('SIGTERM')
  await program.says(/SIGTERM/)
  await eventually(async () => {
    const looks = await Promise.all(Array.from({ length: 12 }, () => get(url, '/readyz')))
    return looks.every((look) => look.status === 503)
  })
  assert.equal((await get(adminUrl, '/fetchway/v1/metrics')).status, 200)
  for (const call of upstream.calls) call.write(LAST).write(DONE).end()
  const ended = await Promise.all(streams.map((stream) => stream.ended))
  assert.ok(ended.every((got) => got.isWhole && got.text.endsWith(DONE)))
  assert.equal(await program.ended, 0)
  assert.equal(program.output.match(/Listening on/g)?.length, 1)
})

test('a port that another router has is taken, though it could be shared', async (t) => {
  const first = run(t, '--threads', '2', '--port', '0')
  const [, port = ''] = await first.says(/Listening on http:\/\/127\.0\.0\.1:(\d+)\n/)
  const second = run(t, '--threads', '2', '--port', port)
  assert.equal(await second.ended, 1)
  assert.match(second.output, new RegExp(`127.0.0.1:${port} is taken by another program`))
})

test('threads and a Unix socket are refused together', async (t) => {
  const program = run(t, '--threads', '2', '--socket', 'router.sock')
  assert.equal(await program.ended, 2)
  assert.match(program.output, /threads.*cannot go with socket/)
})
