// What clients of production-stack's router observe of files and batches; they truly run here.
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { callsOf, chat, CHAT, engine, W1, type Json } from '../journeys/_rig.ts'
import { speak, type Compat } from './_rig.ts'

const STATIC = `--service-discovery static --static-backends ${W1} --static-models m --routing-logic roundrobin`

async function open(t: TestContext, worker = engine()): Promise<{ router: Compat; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'fetchway-files-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const flags = `${STATIC} --enable-batch-api --file-storage-path ${directory}`
  return { router: await speak(t, productionStack, { fleet: { [W1]: worker }, flags }), directory }
}

async function upload(router: Compat, text: string, more: Readonly<Record<string, string>> = {}) {
  const body = new FormData()
  body.set('file', new File([text], 'in.jsonl'))
  for (const [name, value] of Object.entries(more)) body.set(name, value)
  const response = await router.request(new Request('http://router/v1/files', { method: 'POST', body }))
  return { status: response.status, body: (await response.json()) as Json }
}

const line = (id: string) => JSON.stringify({ custom_id: id, method: 'POST', url: CHAT, body: chat() })

async function ended(router: Compat, id: string): Promise<Json> {
  let batch: Json
  const isOver = async () => {
    batch = (await router.ask(`/v1/batches/${id}`)).body
    return ['completed', 'failed', 'cancelled'].includes(batch.status)
  }
  await router.until(isOver, 'the batch did not end')
  return batch
}

test('an upload is told by five fields; its purpose is unknown unless it is named', async (t) => {
  const { router, directory } = await open(t)
  const { status, body } = await upload(router, 'some bytes')
  assert.equal(status, 200)
  const { id, created_at, ...rest } = body
  assert.match(id, /^file-[0-9a-f]{6}$/)
  assert.equal(typeof created_at, 'number')
  assert.deepEqual(rest, { bytes: 10, filename: 'in.jsonl', purpose: 'unknown' })
  // There the name and the purpose were forgotten.
  assert.deepEqual((await router.ask(`/v1/files/${id}`)).body, body)
  assert.equal((await router.ask(`/v1/files/${id}/content`)).text, 'some bytes')
  assert.equal((await upload(router, '', { purpose: 'batch' })).body.purpose, 'batch')
  assert.ok((await readdir(directory)).includes('batches.sqlite'))
})

test('files are listed and deleted, too', async (t) => {
  const { router } = await open(t)
  const { id } = (await upload(router, 'x')).body
  assert.deepEqual(
    (await router.ask('/v1/files')).body.data.map((file: Json) => file.id),
    [id],
  )
  assert.deepEqual((await router.ask(`/v1/files/${id}`, { method: 'DELETE' })).body, {
    id,
    object: 'file',
    deleted: true,
  })
  assert.equal((await router.ask(`/v1/files/${id}`)).status, 404)
})

test('a batch that names no window runs to its end, whatever it is called', async (t) => {
  const worker = engine()
  const { router } = await open(t, worker)
  const { id: input } = (await upload(router, `${line('a')}\n${line('b')}\n`)).body
  const made = await router.post('/v1/batches', { input_file_id: input, endpoint: CHAT })
  assert.equal(made.status, 200)
  assert.match(made.body.id, /^batch_[0-9a-f]{6}$/)
  const { object, status, input_file_id, endpoint, completion_window } = made.body
  assert.deepEqual([object, status, input_file_id], ['batch', 'pending', input])
  assert.deepEqual([endpoint, completion_window], [CHAT, '5s'])
  const batch = await ended(router, made.body.id)
  assert.equal(batch.status, 'completed')
  const output = (await router.ask(`/v1/files/${batch.output_file_id}/content`)).text.trimEnd().split('\n')
  assert.deepEqual(new Set(output.map((text) => (JSON.parse(text) as Json).custom_id)), new Set(['a', 'b']))
  assert.equal(callsOf(worker).length, 2)
  const { data, ...list } = (await router.ask('/v1/batches')).body
  assert.deepEqual(data, [batch])
  assert.deepEqual(list, { object: 'list', first_id: batch.id, last_id: batch.id, has_more: false })
})

test('DELETE of a batch cancels it', async (t) => {
  const { router } = await open(t, engine({ fault: 'stall-before-head' }))
  const { id: input } = (await upload(router, line('a'))).body
  const { id } = (await router.post('/v1/batches', { input_file_id: input, endpoint: CHAT })).body
  const { status, body } = await router.ask(`/v1/batches/${id}`, { method: 'DELETE' })
  assert.deepEqual([status, body.status], [200, 'cancelled'])
  assert.equal((await ended(router, id)).status, 'cancelled')
})

for (const [method, path, body, status, error] of [
  ['GET', '/v1/files/file-000000', undefined, 404, 'File file-000000 not found'],
  ['GET', '/v1/files/file-000000/content', undefined, 404, 'File file-000000 not found'],
  ['GET', '/v1/batches/batch_000000', undefined, 404, 'Batch batch_000000 not found'],
  ['DELETE', '/v1/batches/batch_000000', undefined, 404, 'Batch batch_000000 not found'],
  ['POST', '/v1/batches', { endpoint: CHAT }, 400, "Missing required parameter: 'input_file_id'."],
  ['POST', '/v1/batches', { input_file_id: 'f' }, 400, "Missing required parameter: 'endpoint'."],
  ['POST', '/v1/batches', { input_file_id: 'f', endpoint: CHAT }, 404, 'File f not found'],
] as const)
  test(`${method} ${path} with ${JSON.stringify(body)} is a ${status}`, async (t) => {
    const { router } = await open(t)
    const reply = await router.ask(path, { method, ...(body && { body }) })
    assert.equal(reply.status, status)
    assert.deepEqual(reply.body, { error })
  })

test('without --enable-batch-api an upload fails, and no worker gets it', async (t) => {
  const worker = engine()
  const router = await speak(t, productionStack, { fleet: { [W1]: worker }, flags: STATIC })
  const { status, body } = await upload(router, 'x')
  assert.equal(status, 500)
  assert.match(body.error, /^Failed to save file: /)
  assert.equal(callsOf(worker).length, 0)
})
