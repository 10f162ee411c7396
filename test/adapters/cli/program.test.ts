import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Program } from './_process.ts'

const LIMIT = { timeout: 60_000 }
let directory = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-program-'))
})
after(() => rm(directory, { recursive: true }))

function chat(url: string, model: string, headers: Record<string, string> = {}): Promise<Response> {
  const body = JSON.stringify({ model, max_tokens: 3, messages: [{ role: 'user', content: 'Hi' }] })
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
}

test('an engine serves its models, breaks connections by a fault, and ends on SIGTERM', LIMIT, async () => {
  const engine = new Program(
    ['engine', '--engine', 'sglang', '--port', '0', '--model', 'm1', '--speed', '0'],
    directory,
  )
  const [, url = ''] = await engine.says(/^sglang engine on (\S+)$/m)
  const models = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] }
  assert.deepEqual(
    models.data.map(({ id }) => id),
    ['m1'],
  )
  assert.equal((await chat(url, 'm1')).status, 200)
  await assert.rejects(chat(url, 'm1', { 'x-fault': 'die-before-head' }), /fetch failed/)
  engine.signal('SIGTERM')
  assert.equal(await engine.ended, 0)
})

test('an engine says whose its port is, and what to do', LIMIT, async () => {
  const engine = new Program(['engine', '--port', '0'], directory)
  const [, host = '', port = ''] = await engine.says(/ engine on http:\/\/(.+):(\d+)$/m)
  const second = new Program(['engine', '--port', port], directory)
  assert.equal(await second.ended, 1)
  assert.match(second.output, new RegExp(`^fetchway: ${host}:${port} is taken by another program; choose`))
  engine.signal('SIGTERM')
  assert.equal(await engine.ended, 0)
})

test('engines of SGLang meet at the bootstrap port that they and the router were told', LIMIT, async () => {
  const { port: meeting, close } = await occupied()
  close()
  const flags = ['engine', '--engine', 'sglang', '--port', '0', '--model', 'm', '--speed', '0']
  const start = (...more: string[]) => new Program([...flags, ...more], directory)
  const prefill = start('--role', 'prefill', '--bootstrap-port', String(meeting))
  const decode = start('--role', 'decode')
  const urlOf = async (program: Program) => (await program.says(/ engine on (\S+)$/m))[1] ?? ''
  const [first, second] = await Promise.all([urlOf(prefill), urlOf(decode)])
  const info = (await (await fetch(`${first}/server_info`)).json()) as Record<string, unknown>
  assert.equal(info['disaggregation_bootstrap_port'], meeting)
  const line = ['--prefill', `${first},${meeting}`, '--decode', second, '--port', '0', '--state', 'off']
  const router = new Program(line, directory)
  const [, url = ''] = await router.says(/Listening on (\S+)$/m)
  const answer = await chat(url, 'm')
  assert.equal(answer.status, 200)
  assert.ok(answer.headers.has('x-fetchway-prefill'))
  const programs = [router, prefill, decode]
  for (const program of programs) program.signal('SIGTERM')
  assert.deepEqual(await Promise.all(programs.map(({ ended }) => ended)), [0, 0, 0])
})

test('an engine publishes its KV events where it is told to, and says so', LIMIT, async () => {
  const free = 'tcp://127.0.0.1:0'
  const engine = new Program(
    ['engine', '--speed', '0', '--kv-events', free, '--kv-events-replay', free],
    directory,
  )
  const [, endpoint = ''] = await engine.says(/^KV events on (tcp:\/\/127\.0\.0\.1:[1-9]\d*)$/m)
  const [, url = ''] = await engine.says(/^vllm engine on (\S+)$/m)
  const [source] = (await (await fetch(`${url}/kv_event_sources`)).json()) as Record<string, unknown>[]
  assert.deepEqual([source?.['data_parallel_rank'], source?.['endpoint']], [0, endpoint])
  engine.signal('SIGTERM')
  assert.equal(await engine.ended, 0)
})

test('the router reads its file anew on SIGHUP, and keeps running on a bad one', LIMIT, async () => {
  const engine = new Program(['engine', '--port', '0', '--speed', '0', '--model', 'real'], directory)
  const [, worker = ''] = await engine.says(/ engine on (\S+)$/m)
  const file = join(directory, 'fetchway.yaml')
  await writeFile(file, `workers: [${worker}]\nport: 0\n`)
  const router = new Program(['--config', file], directory)
  const [, url = ''] = await router.says(/Listening on (\S+)/)
  assert.equal((await chat(url, 'real')).status, 200)
  assert.equal((await chat(url, 'other')).status, 404)

  await writeFile(file, `workers: [${worker}]\nport: 0\nalias: {other: real}\n`)
  router.signal('SIGHUP')
  await router.says(/not reloaded.*fetchway\.yaml:3:1: alias: unknown key; did you mean aliases\?/)
  assert.equal((await chat(url, 'real')).status, 200)

  await writeFile(file, `workers: [${worker}]\nport: 0\naliases: {other: real}\n`)
  router.signal('SIGHUP')
  await router.says(/^fetchway: reloaded: aliases$/m)
  assert.equal((await chat(url, 'other')).status, 200)

  router.signal('SIGTERM')
  engine.signal('SIGTERM')
  assert.deepEqual(await Promise.all([router.ended, engine.ended]), [0, 0])
})

test('a port that is taken ends the router with status 1 and a hint', LIMIT, async () => {
  const { port, close } = await occupied()
  const router = new Program(['--port', String(port)], directory)
  const status = await router.ended
  close()
  assert.equal(status, 1)
  assert.match(
    router.output,
    new RegExp(`127\\.0\\.0\\.1:${port} is taken by another program; choose another --port`),
  )
})

test(
  'the demo loses no request though an engine is killed, and moves on from a taken port',
  LIMIT,
  async () => {
    const { port, close } = await occupied()
    const demo = new Program(['demo', '--once', '--seconds', '2', '--port', String(port)], directory)
    const status = await demo.ended
    close()
    assert.equal(status, 0, demo.output)
    assert.match(demo.output, new RegExp(`^port ${port} is taken, so the router takes \\d+$`, 'm'))
    assert.match(demo.output, /^lmdeploy-1 is killed with [1-9]\d* calls in flight$/m)
    assert.match(demo.output, / · 0 failed · first token p50 \d+ ms/)
    for (const name of ['vllm-1', 'vllm-2', 'sglang-1', 'lmdeploy-1']) {
      assert.match(demo.output, new RegExp(`^${name} .* [1-9]\\d* `, 'm'))
    }
  },
)

async function occupied(): Promise<{ port: number; close: () => void }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}
