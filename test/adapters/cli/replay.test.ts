import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Program } from './_process.ts'

const PROGRAM = new URL('../../../adapters/node.js', import.meta.url).pathname
const TRACE = new URL('../../replay/conversation-300.jsonl', import.meta.url).pathname
let directory = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fetchway-replay-'))
})
after(() => rm(directory, { recursive: true }))

interface Ended {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

function run(...argv: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] ?? '' }
    const child = spawn(process.execPath, [PROGRAM, 'replay', ...argv], { cwd: directory, env })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.once('close', (status) => resolve({ status, out, err }))
  })
}

test('--json prints one object a line for each policy, with these keys', async () => {
  const policies = ['least_cost', 'cache_aware', 'round_robin']
  const { status, out } = await run(TRACE, '--speed', '2', '--policy', policies.join(), '--json')
  assert.equal(status, 0)
  const rows = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    rows.map(({ policy, requests }) => [policy, requests]),
    policies.map((policy) => [policy, 300]),
  )
  for (const row of rows) {
    assert.deepEqual(Object.keys(row), [
      'policy',
      'requests',
      'hit_ratio',
      'ttft_mean_s',
      'ttft_p50_s',
      'ttft_p99_s',
      'tpot_mean_ms',
      'goodput',
      'load_share_max',
    ])
    assert.ok(Object.values(row).every((value) => typeof value === 'string' || Number.isFinite(value)))
  }
})

test('a table, and a report where one is wanted; flags of the policies count', async () => {
  const { status, out, err } = await run(
    '--report',
    'page.html',
    '--policy=least_cost,oracle',
    '--cost-alpha',
    '1',
    TRACE,
  )
  assert.equal(status, 0)
  assert.match(out, /^policy +requests +hits +TTFT mean .*\nleast_cost +300 .*\noracle +300 .*\n$/)
  assert.match(err, /300 requests over \d+\.\d minutes \(mooncake\)/)
  assert.match(await readFile(join(directory, 'page.html'), 'utf8'), /<svg .*Time to the first token/)
})

const wrong: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['no trace', ['--json'], 2, /which trace\? fetchway replay TRACE/],
  ['a file that is not there', ['missing.jsonl'], 1, /there is no file missing\.jsonl/],
  [
    'a policy that is none',
    [TRACE, '--policy', 'lest_cost'],
    2,
    /no policy lest_cost; did you mean least_cost\?/,
  ],
  ['no workers', [TRACE, '--workers', '0'], 2, /--workers: must be more than 0/],
  ['a worker that is not there', [TRACE, '--restart', '8'], 2, /--restart: there are workers 0 to 7/],
  ['seeds that are none', [TRACE, '--seeds', 'x'], 2, /--seeds: how many runs/],
  ['a flag that is none', [TRACE, '--spede', '2'], 2, /--spede: unknown flag; did you mean --speed\?/],
]

for (const [says, argv, code, message] of wrong)
  test(`${says}: status ${code} and one line that helps`, async () => {
    const { status, out, err } = await run(...argv)
    assert.equal(status, code)
    assert.match(err, message)
    assert.equal(out, '')
  })

test('a bad trace is told with file and line', async () => {
  await writeFile(join(directory, 'bad.jsonl'), '{"timestamp":0,"input_length":5,"hash_ids":[1]}\n')
  const { status, err } = await run('bad.jsonl')
  assert.equal(status, 1)
  assert.match(
    err,
    /^fetchway: bad\.jsonl:1: output_length must be a whole number of at least 0, not missing\n$/,
  )
})

for (const threads of ['1', '2'])
  test(`what a router of ${threads} threads records can be replayed, and holds nothing of what was said`, async () => {
    const file = `own-${threads}.jsonl`
    const engine = new Program(['engine', '--port', '0', '--speed', '0', '--model', 'm'], directory)
    const [, worker = ''] = await engine.says(/ engine on (\S+)$/m)
    const flags = [
      '--port',
      '0',
      '--state',
      'off',
      '--policy',
      'round_robin',
      '--record',
      file,
      '--threads',
      threads,
    ]
    const router = new Program([worker, ...flags], directory)
    const [, url = ''] = await router.says(/Listening on (\S+)/)
    const content = 'my secret '.repeat(300)
    const body = JSON.stringify({
      model: 'm',
      stream: true,
      max_tokens: 4,
      messages: [{ role: 'user', content }],
    })
    const headers = { 'content-type': 'application/json', 'x-session-id': 'alice' }
    for (let i = 0; i < 2; i++)
      await (await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })).text()
    router.signal('SIGTERM')
    engine.signal('SIGTERM')
    await Promise.all([router.ended, engine.ended])
    const text = await readFile(join(directory, file), 'utf8')
    assert.doesNotMatch(text, /secret|alice/)
    const [, first, second] = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.equal(first?.['prefix'], second?.['prefix'])
    assert.equal(first?.['session'], second?.['session'])
    assert.equal(first?.['output_tokens'], 4)
    assert.ok(Number(first?.['ttft_ms']) > 0)
    const { status, out } = await run(file, '--workers', '2', '--policy', 'least_cost', '--json')
    assert.equal(status, 0)
    assert.equal((JSON.parse(out) as { requests: number }).requests, 2)
  })
