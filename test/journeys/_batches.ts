// Files that the router keeps, and batches that it runs.
import assert from 'node:assert/strict'
import type { Journeys } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, unless, W1, type Json, type Rig } from './_rig.ts'

export const KEPT = { batches: true, batchStore: 'memory' } as const

const form = (text: string, more: Readonly<Record<string, string>> = {}) => {
  const body = new FormData()
  body.set('file', new File([text], 'in.jsonl'))
  for (const [name, value] of Object.entries({ purpose: 'batch', ...more })) body.set(name, value)
  return body
}

export const lineOf = (id: string, body: object = chat()) =>
  JSON.stringify({ custom_id: id, method: 'POST', url: CHAT, body })

/** Uploads lines, and makes a batch of them. */
export async function begin(rig: Rig, text: string): Promise<Json> {
  const { id } = (await rig.ask('/v1/files', { method: 'POST', body: form(text) })).body
  const asked = { input_file_id: id, endpoint: CHAT, completion_window: '24h', metadata: { made: 'here' } }
  return (await rig.post('/v1/batches', asked)).body
}

/** The batch when it is over. */
export async function ended(rig: Rig, { id }: Json): Promise<Json> {
  let batch: Json
  await eventually(
    async () => {
      batch = (await rig.ask(`/v1/batches/${id}`)).body
      return /^(completed|failed|expired|cancelled)$/.test(batch.status)
    },
    () => `the batch did not end: ${JSON.stringify(batch)}`,
  )
  return batch
}

/** The objects in a file. */
export const linesOf = async (rig: Rig, id: string): Promise<Json[]> =>
  (await rig.ask(`/v1/files/${id}/content`)).text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Json)

const journeysOfBatches: Journeys = {
  'a file comes back as it went in, and is in the list until it is deleted': async ({ open }) => {
    const rig = await open(KEPT, { [W1]: engine() })
    const text = `${'ü\r\n--x\n'.repeat(90_000)}end`
    const { status, body: file } = await rig.ask('/v1/files', { method: 'POST', body: form(text) })
    assert.deepEqual([status, file.filename, file.purpose], [200, 'in.jsonl', 'batch'])
    assert.equal(file.bytes, new TextEncoder().encode(text).length)
    assert.equal((await rig.ask(`/v1/files/${file.id}/content`)).text, text)
    assert.deepEqual((await rig.ask('/v1/files')).body.data, [file])
    const refused = await rig.ask(`/v1/files/${file.id}`, { method: 'PUT' })
    assert.deepEqual([refused.status, refused.headers.get('allow')], [405, 'GET, DELETE'])
    assert.equal((await rig.ask(`/v1/files/${file.id}`, { method: 'DELETE' })).body.deleted, true)
    assert.equal((await rig.ask(`/v1/files/${file.id}`)).body.error.code, 'file_not_found')
  },

  'each line of a batch is answered once, and tells what became of it': async ({ open }) => {
    const worker = engine()
    const rig = await open({ ...KEPT, batchConcurrency: 3 }, { [W1]: worker })
    const ids = Array.from({ length: 20 }, (_, index) => `line-${index}`)
    const lines = ids.map((id, index) => lineOf(id, chat(index === 7 ? { model: 'other' } : {})))
    const batch = await ended(rig, await begin(rig, lines.join('\n')))
    assert.deepEqual(batch.request_counts, { total: 20, completed: 19, failed: 1 })
    const good = await linesOf(rig, batch.output_file_id)
    const [bad, ...more] = await linesOf(rig, batch.error_file_id)
    assert.deepEqual(more, [])
    assert.equal(callsOf(worker).length, 19)
    assert.deepEqual(new Set([...good, bad].map((line) => line.custom_id)), new Set(ids))
    for (const { response } of good) assert.deepEqual([response.status_code, response.body.model], [200, 'm'])
    assert.deepEqual([bad.custom_id, bad.response.status_code], ['line-7', 404])
    assert.equal(bad.response.body.error.code, 'model_not_found')
  },

  'a batch with wrong lines names them and sends none': async ({ open }) => {
    const worker = engine()
    const rig = await open(KEPT, { [W1]: worker })
    const batch = await ended(rig, await begin(rig, `${lineOf('a')}\nno\n${lineOf('a')}`))
    const told = batch.errors.data.map(({ code, line }: Json) => [code, line])
    assert.equal(batch.status, 'failed')
    assert.deepEqual(told, [
      ['invalid_json_line', 2],
      ['duplicate_custom_id', 3],
    ])
    assert.equal(callsOf(worker).length, 0)
  },
}

export const batches: Journeys = Object.fromEntries(
  Object.entries(journeysOfBatches).map(([sentence, journey]) => [sentence, unless('no-tables', journey)]),
)
