// The `openai` package and bare requests, in front of a router that keeps files and runs batches itself.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import OpenAI, { APIError, toFile } from 'openai'
import { createHost, type NodeHost } from '../../adapters/node/host.ts'
import { serve, type Served } from '../../adapters/node/http.ts'
import { createApp, type App } from '../../src/app.ts'
import { configSchema } from '../../src/config/schema.ts'
import { createEngine } from '../../src/simulator/engine.ts'

const MODEL = 'demo-model'
const engine = createEngine({ engine: 'vllm', models: [MODEL], speed: 0.02 })
let worker: Served
let host: NodeHost
let app: App
let router: Served
let one: OpenAI
let other: OpenAI

before(async () => {
  worker = await serve((request) => engine.fetch(request))
  const config = configSchema.parse({
    workers: [worker.url],
    apiKeys: ['sk-one', { key: 'sk-other', tenant: 'other' }],
    state: 'off',
    batches: true,
    batchStore: 'memory',
    maxInFlightPerWorker: 1,
    batchConcurrency: 4,
    maxFile: '1MB',
  })
  host = createHost(config, () => undefined)
  app = createApp(config, host)
  await app.start()
  router = await serve((request) => app.fetch(request))
  const client = (apiKey: string) => new OpenAI({ baseURL: `${router.url}/v1`, apiKey, maxRetries: 0 })
  one = client('sk-one')
  other = client('sk-other')
})
after(async () => {
  await router.close(0)
  await app.close()
  host.close()
  await worker.close(0)
})

type Endpoint = OpenAI.BatchCreateParams['endpoint']
const BODIES: Readonly<Record<string, object>> = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'Hello.' }], max_tokens: 4 },
  '/v1/completions': { prompt: 'Hello.', max_tokens: 4 },
  '/v1/embeddings': { input: 'Hello.' },
  '/v1/responses': { input: 'Hello.', max_output_tokens: 4 },
}

async function upload(endpoint: string, count: number, client = one): Promise<string> {
  const body = { model: MODEL, ...BODIES[endpoint] }
  const lines = Array.from({ length: count }, (_, n) =>
    JSON.stringify({ custom_id: `${n}`, method: 'POST', url: endpoint, body }),
  )
  const file = await toFile(Buffer.from(lines.join('\n')), 'in.jsonl')
  return (await client.files.create({ file, purpose: 'batch' })).id
}

async function ended(id: string): Promise<OpenAI.Batch> {
  for (const end = performance.now() + 10_000; ;) {
    const batch = await one.batches.retrieve(id)
    if (['completed', 'failed', 'cancelled', 'expired'].includes(batch.status)) return batch
    if (performance.now() > end) assert.fail(JSON.stringify(batch))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const refused = (status: number, code: string) => (error: unknown) =>
  error instanceof APIError && error.status === status && error.code === code

for (const endpoint of Object.keys(BODIES))
  test(`a batch for ${endpoint} is answered in that endpoint's shape`, async () => {
    const input_file_id = await upload(endpoint, 3)
    const asked = { input_file_id, endpoint: endpoint as Endpoint, completion_window: '24h' } as const
    const { id } = await one.batches.create(asked)
    const batch = await ended(id)
    assert.deepEqual(batch.request_counts, { total: 3, completed: 3, failed: 0 })
    const text = await (await one.files.content(batch.output_file_id!)).text()
    for (const line of text.trimEnd().split('\n')) {
      const { response } = JSON.parse(line) as { response: { body: { object: string; model: string } } }
      assert.equal(response.body.model, MODEL)
      assert.match(response.body.object, /completion|list|response/)
    }
  })

test('files and batches are listed page by page', async () => {
  const ids: string[] = []
  for (let count = 0; count < 3; count++) {
    const input_file_id = await upload('/v1/completions', 1)
    const asked = { input_file_id, endpoint: '/v1/completions', completion_window: '24h' } as const
    ids.push((await one.batches.create({ ...asked, metadata: { list: 'yes' } })).id)
  }
  const listed: string[] = []
  for await (const batch of one.batches.list({ limit: 1 })) listed.push(batch.id)
  assert.deepEqual(listed.slice(0, 3), ids.toReversed())
  const files: string[] = []
  for await (const file of one.files.list({ limit: 2, purpose: 'batch', order: 'asc' })) files.push(file.id)
  assert.ok(files.length >= 3)
  assert.equal(new Set(files).size, files.length)
})

test('a key sees what its tenant has, and nothing else', async () => {
  const id = await upload('/v1/completions', 1)
  const asked = { endpoint: '/v1/completions', completion_window: '24h' } as const
  const batch = await one.batches.create({ ...asked, input_file_id: id })
  await assert.rejects(other.files.retrieve(id), refused(404, 'file_not_found'))
  await assert.rejects(other.files.content(id), refused(404, 'file_not_found'))
  await assert.rejects(other.files.delete(id), refused(404, 'file_not_found'))
  await assert.rejects(other.batches.create({ ...asked, input_file_id: id }), refused(404, 'file_not_found'))
  await assert.rejects(other.batches.retrieve(batch.id), refused(404, 'batch_not_found'))
  await assert.rejects(other.batches.cancel(batch.id), refused(404, 'batch_not_found'))
  assert.deepEqual((await other.files.list()).data, [])
  assert.deepEqual((await other.batches.list()).data, [])
  const nobody = await fetch(`${router.url}/v1/files`)
  assert.equal(nobody.status, 401)
})

test('a batch that is cancelled ends so', async () => {
  const input_file_id = await upload('/v1/completions', 300)
  const asked = { input_file_id, endpoint: '/v1/completions', completion_window: '24h' } as const
  const { id } = await one.batches.create(asked)
  assert.match((await one.batches.cancel(id)).status, /^cancell(ing|ed)$/)
  const batch = await ended(id)
  assert.equal(batch.status, 'cancelled')
  await assert.rejects(one.batches.cancel('batch_unknown'), refused(404, 'batch_not_found'))
})

test('a call that somebody waits for goes before the lines that wait', async () => {
  const input_file_id = await upload('/v1/completions', 60)
  const before = engine.seen().requests.length
  const asked = { input_file_id, endpoint: '/v1/completions', completion_window: '24h' } as const
  const { id } = await one.batches.create(asked)
  while (engine.seen().requests.length < before + 5) await new Promise((resolve) => setTimeout(resolve, 1))
  const begun = engine.seen().requests.length
  await one.chat.completions.create({
    model: MODEL,
    messages: [{ role: 'user', content: 'Now.' }],
    max_tokens: 1,
  })
  const at = engine.seen().requests.findLastIndex(({ path }) => path === '/v1/chat/completions')
  // One line is there already, and the next may have been chosen.
  assert.ok(at - begun <= 2, `${at - begun} lines went first`)
  await ended(id)
})

test('a file may have an expiry of its own, and bytes of any kind', async () => {
  const bytes = Uint8Array.from({ length: 700_000 }, (_, index) => (index * 7919) >> 3)
  const file = await one.files.create({
    file: await toFile(bytes, '../names.bin'),
    purpose: 'user_data',
    expires_after: { anchor: 'created_at', seconds: 3600 },
  })
  assert.equal(file.filename, 'names.bin')
  assert.equal(file.expires_at, file.created_at + 3600)
  const response = await one.files.content(file.id)
  assert.equal(response.headers.get('content-length'), '700000')
  assert.deepEqual(await response.bytes(), bytes)
})

const ENGINE_PATHS = /^\/v1\/(files|batches)/

for (const [what, method, path, body, status, code] of [
  ['a body that is no form', 'POST', '/v1/files', '{}', 400, 'invalid_form'],
  ['a form without a file', 'POST', '/v1/files', { purpose: 'batch' }, 400, 'missing_required_parameter'],
  [
    'a form without a purpose',
    'POST',
    '/v1/files',
    { file: new File(['x'], 'x') },
    400,
    'missing_required_parameter',
  ],
  [
    'an unknown purpose',
    'POST',
    '/v1/files',
    { file: new File(['x'], 'x'), purpose: 'fun' },
    400,
    'invalid_purpose',
  ],
  [
    'too large a file',
    'POST',
    '/v1/files',
    { file: new File(['x'.repeat(2e6)], 'x') },
    413,
    'file_too_large',
  ],
  ['a wrong limit', 'GET', '/v1/files?limit=0', null, 400, 'invalid_limit'],
  ['an unknown after', 'GET', '/v1/batches?after=batch_x', null, 400, 'invalid_after'],
  ['a broken body', 'POST', '/v1/batches', '{', 400, 'invalid_json'],
  ['a missing endpoint', 'POST', '/v1/batches', '{"input_file_id":"f"}', 400, 'missing_required_parameter'],
  ['another method', 'PUT', '/v1/files', '{}', 405, 'method_not_allowed'],
  ['DELETE of a batch', 'DELETE', '/v1/batches/batch_x', null, 405, 'method_not_allowed'],
  ['a deeper path', 'GET', '/v1/files/a/b/c', null, 404, 'not_found'],
  ['a path out of the store', 'GET', '/v1/files/..%2f..%2fetc%2fpasswd/content', null, 404, 'file_not_found'],
] as const)
  test(`${what} is refused in OpenAI's shape, and reaches no worker`, async () => {
    let sent: BodyInit | null = typeof body === 'string' ? body : null
    if (typeof body === 'object' && body !== null) {
      sent = new FormData()
      for (const [name, value] of Object.entries(body)) sent.set(name, value as string)
    }
    const headers = { authorization: 'Bearer sk-one' }
    const response = await fetch(router.url + path, { method, headers, body: sent })
    const told = (await response.json()) as { error: { code: string; type: string; message: string } }
    assert.deepEqual([response.status, told.error.code], [status, code])
    assert.equal(told.error.type, 'invalid_request_error')
    assert.ok(engine.seen().requests.every((request) => !ENGINE_PATHS.test(request.path)))
  })
