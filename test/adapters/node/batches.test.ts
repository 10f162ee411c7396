// Batches of a router process that is killed half-way: what was answered stays, the rest goes on, nothing comes twice.
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import OpenAI, { toFile } from 'openai'
import { serve } from '../../../adapters/node/http.ts'
import { createEngine } from '../../../src/simulator/engine.ts'
import { Program } from '../cli/_process.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-batches-'))
const engine = createEngine({ engine: 'vllm', models: ['m'], speed: 0.02, fault: 'delay=20ms' })
const worker = await serve((request) => engine.fetch(request))
const left = new Set<Program>()
after(async () => {
  for (const one of left) one.signal('SIGKILL')
  await worker.close(0)
  await rm(directory, { recursive: true, force: true })
})

const COUNT = 200

/** A router on the one store, and a client of it. */
async function start(threads = '1'): Promise<{ program: Program; client: OpenAI }> {
  const flags = [
    '--port',
    '0',
    '--threads',
    threads,
    '--batches',
    '--batch-store',
    'kept',
    '--batch-concurrency',
    '8',
  ]
  const program = new Program([...flags, '--log-level', 'error', worker.url], directory)
  left.add(program)
  const [, url] = await program.says(/^Listening on (http:\/\/[\d.:]+)/m)
  return { program, client: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 }) }
}

async function until(
  client: OpenAI,
  id: string,
  isSo: (batch: OpenAI.Batch) => boolean,
): Promise<OpenAI.Batch> {
  const end = performance.now() + 60_000
  for (;;) {
    const batch = await client.batches.retrieve(id)
    if (isSo(batch)) return batch
    if (performance.now() > end) assert.fail(JSON.stringify(batch))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const ids = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { custom_id: string }).custom_id)

test('a router that is killed half-way goes on when it is started again: each line is there once', async () => {
  const first = await start()
  const lines = Array.from({ length: COUNT }, (_, index) => {
    const body = { model: 'm', messages: [{ role: 'user', content: `${index}` }], max_tokens: 2 }
    return JSON.stringify({ custom_id: `line-${index}`, method: 'POST', url: '/v1/chat/completions', body })
  })
  const file = await toFile(Buffer.from(lines.join('\n')), 'in.jsonl')
  const { id: input } = await first.client.files.create({ file, purpose: 'batch' })
  const asked = { input_file_id: input, endpoint: '/v1/chat/completions', completion_window: '24h' } as const
  const { id } = await first.client.batches.create(asked)
  const isHalf = (batch: OpenAI.Batch) => (batch.request_counts?.completed ?? 0) >= COUNT / 2
  await until(first.client, id, isHalf)
  first.program.signal('SIGKILL')
  await first.program.ended

  const second = await start()
  const before = await second.client.batches.retrieve(id)
  assert.ok((before.request_counts?.completed ?? 0) >= COUNT / 2)
  const batch = await until(second.client, id, ({ status }) => status === 'completed')
  assert.deepEqual(batch.request_counts, { total: COUNT, completed: COUNT, failed: 0 })
  const told = ids(await (await second.client.files.content(batch.output_file_id!)).text())
  assert.equal(told.length, COUNT)
  assert.equal(new Set(told).size, COUNT)
  // Only what was under way when it was killed went out twice.
  const calls = engine.seen().requests.filter(({ path }) => path === '/v1/chat/completions').length
  assert.ok(calls <= COUNT + 8, `${calls} calls`)
  second.program.signal('SIGTERM')
  assert.equal(await second.program.ended, 0)
})

test('the threads of a router share one store, another router does not, and nobody else reads it', async () => {
  const first = await start('2')
  const file = await toFile(Buffer.from('x'), 'x')
  for (let count = 0; count < 4; count++) await first.client.files.create({ file, purpose: 'batch' })
  // Each request may come to another thread.
  for (let count = 0; count < 4; count++) assert.ok((await first.client.files.list()).data.length >= 4)
  await assert.rejects(start(), /kept\/batches\.sqlite: another router has it/)
  const { mode } = await stat(join(directory, 'kept/batches.sqlite'))
  assert.equal(mode & 0o077, 0)
  first.program.signal('SIGTERM')
  assert.equal(await first.program.ended, 0)
})
