import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { serve } from '../../../adapters/node/http.ts'
import { createEngine } from '../../../src/simulator/engine.ts'
import { freePort } from '../../journeys/_sockets.ts'
import { Program } from './_process.ts'

let directory = ''
const closing: (() => unknown)[] = []
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-as-'))
})
after(async () => {
  for (const close of closing) await close()
  await rm(directory, { recursive: true })
})

const PORT = '--port 0 --prometheus-port 0'

async function engine(): Promise<string> {
  const simulated = createEngine({ engine: 'sglang', models: ['m'], speed: 0 })
  const served = await serve((request) => simulated.fetch(request))
  closing.push(() => served.close(0))
  return served.url
}

function start(line: string, env: Record<string, string> = {}): Program {
  const program = new Program(line.split(' '), directory, env)
  closing.push(() => program.signal('SIGKILL'))
  return program
}

const listening = async (program: Program) => (await program.says(/Listening on (\S+)/))[1] as string

for (const [dialect, health] of [
  ['sglang-router', 'OK'],
  ['vllm-router', 'All servers healthy'],
] as const)
  test(`as ${dialect}: the flags of that program are taken and its endpoints answer`, async () => {
    const program = start(`as ${dialect} --worker-urls ${await engine()} ${PORT} --request-id-headers x-a`)
    const url = await listening(program)
    const deadline = performance.now() + 20_000
    let text = ''
    while (text !== health && performance.now() < deadline) text = await (await fetch(`${url}/health`)).text()
    assert.equal(text, health)
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-a': 'mine' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 }),
    })
    assert.deepEqual([answer.status, answer.headers.get('x-request-id')], [200, 'mine'])
    program.signal('SIGTERM')
    assert.equal(await program.ended, 0)
  })

test('what is wrong ends with 2 and the words of the program', async () => {
  const program = start('as sglang-router --prot 1')
  assert.equal(await program.ended, 2)
  assert.match(program.output, /unrecognized arguments: --prot 1; did you mean --port\?/)
})

test('a wrong value is told once, before any word on doors that stand open', async () => {
  const program = start('as sglang-router --host 0.0.0.0 --policy cache_awre')
  assert.equal(await program.ended, 2)
  assert.match(program.output, /^sglang-router: error: argument --policy: invalid choice: 'cache_awre'.*\n$/)
  const numbers = start('as dlrouter --server_port 99999')
  assert.equal(await numbers.ended, 2)
  assert.equal(numbers.output, '--server_port: must be at most 65535, got 99999\n')
})

test('flags of the other vllm-router are told to be so', async () => {
  const program = start('as vllm-router --static-backends http://a:1 --wrong')
  assert.equal(await program.ended, 2)
  assert.doesNotMatch(program.output, /unrecognized arguments: --static-backends/)
})

test('import takes words of our own before the flags of the program, too', async () => {
  const flags =
    '--service-discovery static --static-backends http://a:1 --static-models m --routing-logic roundrobin'
  const [readme, release] = ['--strict-compat', '--defaults release'].map((own) =>
    start(`import production-stack ${own} -- ${flags}`),
  ) as [Program, Program]
  assert.deepEqual([await readme.ended, await release.ended], [0, 0], readme.output + release.output)
  assert.match(readme.output, /^strictCompat: true$/m)
  assert.match(release.output, /^retries: 0$/m)
})

test('import prints the configuration that flags amount to', async () => {
  const program = start('import sglang-router -- --worker-urls http://a:1 --policy random --port 9 --mini-lb')
  assert.equal(await program.ended, 0)
  assert.match(program.output, /^# --mini-lb has no effect/m)
  const file = parse(program.output) as Record<string, unknown>
  assert.deepEqual(
    [file['workers'], file['policy'], file['port'], file['dialect'], file['maxInFlight']],
    [['http://a:1'], 'random', 9, 'sglang-router', 64],
  )
})

test('co-launch starts the workers, waits for them, and ends them with it', async () => {
  const command = `${process.execPath} ${new URL('_stand-in.ts', import.meta.url).pathname}`
  const base = await freePort()
  const line = `as sglang-launch-server --model-path org/m --dp-size 2 --mem-fraction-static 0.8 --router-policy round_robin --router-dp-worker-base-port ${base} --port 0 --router-prometheus-port 0`
  const program = start(line, { FETCHWAY_ENGINE_COMMAND: command })
  const url = await listening(program)
  const { urls } = (await (await fetch(`${url}/list_workers`)).json()) as { urls: string[] }
  assert.equal(urls.length, 2)
  for (const rank of [0, 1])
    assert.match(
      program.output,
      new RegExp(`stand-in ${rank}: --model-path org/m --mem-fraction-static 0.8 .*--base-gpu-id ${rank}`),
    )
  program.signal('SIGTERM')
  assert.equal(await program.ended, 0)
  const deadline = performance.now() + 20_000
  const isUp = () =>
    fetch(`${urls[0]}/health`).then(
      () => true,
      () => false,
    )
  while ((await isUp()) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(await isUp(), false)
})

test('co-launch whose worker ends at once is told, and ends', async () => {
  const line = `as sglang-launch-server --model-path m ${PORT.replace('--prom', '--router-prom')}`
  const program = start(line, { FETCHWAY_ENGINE_COMMAND: `${process.execPath} -e process.exit(3) --` })
  assert.equal(await program.ended, 1)
  assert.match(program.output, /did not start: it ended \(3\)/)
})
