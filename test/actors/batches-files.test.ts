import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KEPT } from '../../src/batches/book.ts'
import { ENDPOINT, linesOf, OWNER, rig } from './_batches.ts'

const refusalOf = (answer: unknown) => {
  const { status, code } = answer as { status: number; code: string }
  return [status, code]
}

test('a file is seen by its owner alone, from its last piece on', async () => {
  const { actor, upload } = await rig()
  const coming = (await actor.openFile(OWNER, 24)) as string
  assert.equal(await actor.file(OWNER, coming), null)
  const id = await upload('text')
  assert.equal((await actor.file(OWNER, id))!.bytes, 4)
  assert.equal(await actor.file('another', id), null)
  assert.equal(await actor.read('another', id, 0), null)
  assert.equal(await actor.removeFile('another', id), false)
  assert.deepEqual((await actor.files('another', { limit: 10 }))!.items, [])
  assert.equal((await actor.files(OWNER, { limit: 10 }))!.items.length, 1)
})

test('files are listed page by page, newest first or oldest first, and by their purpose', async () => {
  const { actor, upload } = await rig()
  const ids: string[] = []
  for (const purpose of ['batch', 'vision', 'batch', 'batch', 'vision']) ids.push(await upload('x', purpose))
  const page = async (more: { after?: string; isAscending?: boolean }, purpose?: string) => {
    const { items, hasMore } = (await actor.files(OWNER, { limit: 2, ...more }, purpose))!
    return [items.map(({ id }) => ids.indexOf(id)), hasMore]
  }
  assert.deepEqual(await page({}), [[4, 3], true])
  assert.deepEqual(await page({ after: ids[3]! }), [[2, 1], true])
  assert.deepEqual(await page({ after: ids[1]! }), [[0], false])
  assert.deepEqual(await page({ isAscending: true, after: ids[0]! }), [[1, 2], true])
  assert.deepEqual(await page({}, 'vision'), [[4, 1], false])
  assert.equal(await actor.files(OWNER, { limit: 2, after: 'file-unknown' }), null)
})

test('a file larger than allowed, and what is more than the owner may keep, is refused; others have their own', async () => {
  const { actor, upload } = await rig({ maxFile: 600_000, fileQuota: 1_000_000 })
  const big = (await actor.openFile(OWNER, 24)) as string
  const piece = new Uint8Array(262_144)
  assert.equal(await actor.append(big, piece), null)
  assert.equal(await actor.append(big, piece), null)
  assert.deepEqual(refusalOf(await actor.append(big, piece)), [413, 'file_too_large'])
  await actor.dropFile(big)
  await upload('x'.repeat(600_000))
  const more = (await actor.openFile(OWNER, 24)) as string
  assert.equal(await actor.append(more, piece), null)
  assert.deepEqual(refusalOf(await actor.append(more, piece)), [403, 'file_quota_exceeded'])
  await upload('x'.repeat(600_000), 'batch', 'another')
})

test('an upload that nobody goes on with is given up after an hour', async () => {
  const { actor, clock, tables } = await rig()
  const id = (await actor.openFile(OWNER, 24)) as string
  await actor.append(id, new Uint8Array(10))
  await clock.advance(2 * 3_600_000 + 10_000)
  assert.deepEqual(refusalOf(await actor.append(id, new Uint8Array(1))), [409, 'upload_gone'])
  assert.equal(tables.all('SELECT * FROM pieces').length, 0)
})

test('files go when their time is over: as asked at the upload, else as configured', async () => {
  const { actor, clock, upload, tables } = await rig({ fileExpiry: '2h' })
  const id = await upload('x')
  const asked = (await actor.openFile(OWNER, 24)) as string
  await actor.closeFile(asked, { name: 'a', purpose: 'batch', seconds: 36_000 })
  assert.deepEqual(
    [(await actor.file(OWNER, id))!.expires_at, (await actor.file(OWNER, asked))!.expires_at],
    [1000 + 7200, 1000 + 36_000],
  )
  await clock.advance(3 * 3_600_000)
  assert.equal(await actor.file(OWNER, id), null)
  assert.ok(await actor.file(OWNER, asked))
  assert.equal(tables.all('SELECT * FROM files').length, 1)
})

test('the input of a batch may be deleted while it runs: it is read to its end, then it is gone', async () => {
  const { actor, clock, begin, sent, now, tables } = await rig({ batchConcurrency: 1 })
  const batch = await begin(linesOf(3))
  assert.equal(await actor.removeFile(OWNER, batch.input_file_id), true)
  assert.equal(await actor.file(OWNER, batch.input_file_id), null)
  for (let line = 0; line < 3; line++) {
    sent[line]!.answer()
    await clock.advance(0)
  }
  assert.equal((await now(batch)).status, 'completed')
  await clock.advance(3_700_000)
  assert.equal(tables.all('SELECT * FROM files').length, 1)
})

for (const [what, change, expected] of [
  ['an unknown file', { input_file_id: 'file-unknown' }, [404, 'file_not_found']],
  ['a file for something else', {}, [400, 'invalid_purpose']],
] as const)
  test(`a batch of ${what} is refused`, async () => {
    const { actor, upload } = await rig()
    const input_file_id = await upload('x', 'vision')
    const spec = { endpoint: ENDPOINT, input_file_id, completion_window: '24h', metadata: null, ...change }
    const made = await actor.create(OWNER, { spec, window: 1000 }, { digits: 24, purpose: 'batch' })
    assert.deepEqual(refusalOf(made), expected)
  })

test('an owner has a hundred batches under way at most', async () => {
  const { actor, upload, create } = await rig()
  const input = await upload(linesOf(1))
  for (let count = 0; count < 100; count++) await create(input)
  const spec = { endpoint: ENDPOINT, input_file_id: input, completion_window: '24h', metadata: null }
  const more = await actor.create(OWNER, { spec, window: 1000 }, { digits: 24, purpose: 'batch' })
  assert.deepEqual(refusalOf(more), [429, 'too_many_batches'])
})

test('ids that meet are made anew', async () => {
  const { actor } = await rig()
  const ids = new Set<unknown>()
  for (let count = 0; count < 16; count++) ids.add(await actor.openFile(OWNER, 1))
  assert.equal(ids.size, 16)
})

test('of batches that ended an owner keeps the newest; those under way stay', async () => {
  const { actor, upload, create, tables } = await rig()
  const input = await upload(linesOf(1))
  const first = await create(input)
  tables.all(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
      INSERT INTO batches (id, owner, status, expires, told) SELECT 'b' || i, ?, 'failed', 9e15, '{}' FROM n`,
    KEPT + 5,
    OWNER,
  )
  await create(input)
  const count = tables.all('SELECT COUNT(*) AS count FROM batches')[0]!['count']
  assert.equal(count, KEPT + 1)
  assert.ok(await actor.batch(OWNER, first.id))
  assert.equal(await actor.batch(OWNER, 'b1'), null)
})

test('files without a byte are not for nothing', async () => {
  const { actor, upload } = await rig({ fileQuota: 10_000 })
  for (let count = 0; count < 10; count++) await upload('')
  assert.deepEqual(refusalOf(await actor.openFile(OWNER, 24)), [403, 'file_quota_exceeded'])
})
