// `fetchway bench` and `fetchway smoke` against an embedded engine on a socket.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { bench } from '../../../adapters/cli/bench/bench.ts'
import { smoke } from '../../../adapters/cli/smoke.ts'
import { serve } from '../../../adapters/node/http.ts'
import { callsOf, engine, headerOf } from '../../journeys/_rig.ts'
import type { Engine } from '../../../src/simulator/engine.ts'

interface Spot {
  readonly url: string
  readonly worker: Engine
  readonly directory: string
  readonly printed: () => string
}

async function open(t: TestContext, fault = ''): Promise<Spot> {
  const worker = engine({ fault })
  const front = await serve((request) => worker.fetch(request), { breaksOnError: true })
  const directory = await mkdtemp(join(tmpdir(), 'fetchway-bench-'))
  const printed: string[] = []
  const keep = (text: string | Uint8Array) => printed.push(String(text)) > 0
  t.mock.method(process.stdout, 'write', keep)
  t.mock.method(process.stderr, 'write', keep)
  t.after(async () => {
    await front.close(0)
    await rm(directory, { recursive: true, force: true })
  })
  return { url: front.url, worker, directory, printed: () => printed.join('') }
}

const flags = (spot: Spot, more: string) =>
  `--base-url ${spot.url} --model m --num-requests 6 --max-tokens 4 ${more}`.trim().split(' ')

test('both runs are made, compared, and written, and the bar fills', async (t) => {
  const spot = await open(t)
  const file = join(spot.directory, 'deep', 'run.json')
  const more = `--concurrency 3 --prompt-tokens 30 --auth-token tok --output ${file} --log-node`
  assert.equal(await bench(['run', '--mode', 'both', ...flags(spot, more)]), 0)
  const { runs, config, throughput_multiplier } = JSON.parse(await readFile(file, 'utf8'))
  assert.equal(config.num_requests, 6)
  assert.ok(throughput_multiplier > 0)
  assert.deepEqual(Object.values(runs.naive_node_counts), [6])
  assert.deepEqual(Object.values(runs.concurrent_node_counts), [6])
  assert.equal(runs.concurrent.error_rate, 0)
  assert.ok(runs.concurrent.latency_p95_ms >= runs.concurrent.latency_p50_ms)
  assert.match(spot.printed(), /100% 6\/6[\s\S]*Multiplier: +\d/)
  const calls = callsOf(spot.worker)
  assert.equal(calls.length, 12)
  assert.equal(headerOf(calls[0], 'authorization'), 'Bearer tok')
  assert.equal(JSON.parse(calls[0]?.body ?? '').max_tokens, 4)
})

for (const mode of ['naive', 'concurrent'])
  test(`--mode ${mode} makes that run alone`, async (t) => {
    const spot = await open(t)
    const file = join(spot.directory, 'run.json')
    assert.equal(await bench(['run', '--mode', mode, ...flags(spot, `--output ${file}`)]), 0)
    const { runs, throughput_multiplier } = JSON.parse(await readFile(file, 'utf8'))
    assert.deepEqual(Object.keys(runs), [mode])
    assert.equal(callsOf(spot.worker).length, 6)
    assert.ok(throughput_multiplier === null || throughput_multiplier === 0)
  })

test('a sweep writes a row for each step, as JSON and as a table', async (t) => {
  const spot = await open(t)
  const [json, csv] = [join(spot.directory, 's.json'), join(spot.directory, 's.csv')]
  const more = `--concurrencies 1,3 --output-json ${json} --output-csv ${csv}`
  assert.equal(await bench(['sweep', ...flags(spot, more)]), 0)
  const rows = JSON.parse(await readFile(json, 'utf8')) as { concurrency: number }[]
  assert.deepEqual(
    rows.map(({ concurrency }) => concurrency),
    [1, 3],
  )
  const [head, first] = (await readFile(csv, 'utf8')).split('\n')
  assert.equal(head, 'concurrency,tokens_per_second,latency_p95_ms,error_rate,gpu_util_avg,vram_used_mb_avg')
  assert.match(first ?? '', /^1,[\d.]+,[\d.]+,0,,$/)
})

test('steps that are no numbers are told', async (t) => {
  const spot = await open(t)
  assert.equal(await bench(['sweep', '--concurrencies', '1,x']), 2)
  assert.match(spot.printed(), /--concurrencies takes whole numbers/)
})

test('failed calls are counted and told', async (t) => {
  const spot = await open(t, 'status=500')
  const file = join(spot.directory, 'run.json')
  assert.equal(await bench(['run', '--mode', 'concurrent', ...flags(spot, `--output ${file}`)]), 1)
  assert.equal(JSON.parse(await readFile(file, 'utf8')).runs.concurrent.error_rate, 100)
  assert.match(spot.printed(), /6 of 6 calls failed, the first with: 500/)
})

test('a chat grows by each round over one system prompt, and its first tokens are told', async (t) => {
  const spot = await open(t)
  const file = join(spot.directory, 'chat.json')
  const talk = '--users 2 --rounds 2 --warmup 1 --system-tokens 50 --prompt-tokens 10 --max-tokens 4'
  const line = `--base-url ${spot.url} --direct ${spot.url} --model m ${talk} --output ${file}`
  assert.equal(await bench(['chat', ...line.split(' ')]), 0)
  assert.match(spot.printed(), /first token p50 [\d.]+ ms, p99 [\d.]+ ms \(4 calls, 0 failed\)/)
  assert.match(spot.printed(), /added to the first token: p50 [+-][\d.]+ ms, p99 [+-][\d.]+ ms/)
  const bodies = callsOf(spot.worker).map(({ body }) => JSON.parse(body))
  assert.equal(bodies.length, 12)
  const lengths = bodies.map(({ messages }) => messages.length as number)
  assert.deepEqual(new Set(lengths), new Set([2, 4, 6]))
  assert.equal(new Set(bodies.map(({ messages }) => messages[0].content)).size, 1)
  assert.equal(JSON.parse(await readFile(file, 'utf8'))[0].calls, 4)
})

test('users who think ask no sooner', async (t) => {
  const spot = await open(t)
  const talk = '--users 2 --rounds 2 --warmup 0 --think 40 --system-tokens 10 --max-tokens 1'
  const startedAt = performance.now()
  assert.equal(await bench(['chat', ...`--base-url ${spot.url} --model m ${talk}`.split(' ')]), 0)
  const took = performance.now() - startedAt
  // The second user begins half a pause later.
  assert.ok(took >= 95, `${took} ms`)
  assert.equal(callsOf(spot.worker).length, 4)
})

test('a smoke test passes where a chat is answered, and fails where none is', async (t) => {
  const spot = await open(t)
  assert.equal(await smoke([spot.url]), 0)
  assert.equal(JSON.parse(callsOf(spot.worker)[0]?.body ?? '').model, 'm')
  spot.worker.kill()
  assert.equal(await smoke([spot.url]), 1)
})
