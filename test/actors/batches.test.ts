import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OWNER, lineOf, linesOf, rig } from './_batches.ts'

type Line = { custom_id: string; response: { status_code: number; body: unknown } | null; error: unknown }

const parsed = (text: string): Line[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

test('so many lines are under way at once as configured, and each answer makes room for one', async () => {
  const { begin, sent, now, clock } = await rig({ batchConcurrency: 3 })
  const batch = await begin(linesOf(5))
  assert.equal((await now(batch)).status, 'in_progress')
  assert.deepEqual(
    sent.map(({ n }) => n),
    [0, 1, 2],
  )
  sent[1]!.answer()
  await clock.advance(0)
  assert.deepEqual(
    sent.map(({ n }) => n),
    [0, 1, 2, 3],
  )
  assert.deepEqual((await now(batch)).request_counts, { total: 5, completed: 1, failed: 0 })
})

test('answers and failures stand in files of their own, each in one line', async () => {
  const { begin, sent, now, clock, read, failures } = await rig()
  const batch = await begin(linesOf(3))
  sent[2]!.answer(200)
  sent[0]!.answer(400)
  sent[1]!.answer(200, { body: new TextEncoder().encode('no "JSON"\n') })
  await clock.advance(0)
  const { status, output_file_id, error_file_id, request_counts, ...at } = await now(batch)
  assert.deepEqual([status, request_counts], ['completed', { total: 3, completed: 2, failed: 1 }])
  for (const time of [at.in_progress_at, at.finalizing_at, at.completed_at]) assert.equal(time, 1000)
  const good = parsed(await read(output_file_id!))
  assert.deepEqual(
    good.map(({ custom_id: id, response }) => [id, response?.status_code, response?.body]),
    [
      ['c1', 200, 'no "JSON"'],
      ['c2', 200, { said: 2 }],
    ],
  )
  const bad = parsed(await read(error_file_id!))
  assert.deepEqual(
    bad.map(({ custom_id: id, response, error }) => [id, response?.status_code, error]),
    [['c0', 400, null]],
  )
  assert.deepEqual(failures, [])
})

test('a batch whose lines are all well has no file of errors', async () => {
  const { begin, sent, now, clock, actor } = await rig()
  const batch = await begin(lineOf(0))
  sent[0]!.answer()
  await clock.advance(0)
  assert.equal((await now(batch)).error_file_id, null)
  const names = (await actor.files(OWNER, { limit: 10 }))!.items.map(({ filename }) => filename)
  assert.deepEqual(names, [`${batch.id}_output.jsonl`, 'in.jsonl'])
})

for (const [status, attempts] of [
  [500, 3],
  [502, 3],
  [504, 3],
  [400, 1],
  [404, 1],
  [501, 1],
] as const)
  test(`a line that is answered by ${status} goes out ${attempts} time(s)`, async () => {
    const { begin, sent, now, clock } = await rig()
    const batch = await begin(lineOf(0))
    for (let attempt = 0; attempt < attempts; attempt++) {
      assert.equal(sent.length, attempt + 1)
      sent[attempt]!.answer(status)
      await clock.advance(10_000)
    }
    assert.equal(sent.length, attempts)
    assert.deepEqual((await now(batch)).request_counts, { total: 1, completed: 0, failed: 1 })
  })

for (const status of [429, 503, 529])
  test(`lines that are answered by ${status} wait longer and longer, and go out until they have an answer`, async () => {
    const { begin, sent, now, clock } = await rig({ batchConcurrency: 2 })
    const batch = await begin(linesOf(4))
    const times: number[] = []
    for (let round = 0; round < 8; round++) {
      times.push(clock.now())
      for (const line of sent.splice(0)) line.answer(status)
      await clock.advance(0)
      for (let step = 0; sent.length === 0 && step < 400; step++) await clock.advance(250)
    }
    const gaps = times.slice(1).map((at, index) => at - times[index]!)
    assert.ok(gaps[0]! <= 500 && gaps.at(-1)! > 12_000 && gaps.at(-1)! < 37_000, gaps.join(' '))
    while (sent.length > 0) {
      for (const line of sent.splice(0)) line.answer()
      await clock.advance(0)
    }
    assert.deepEqual((await now(batch)).request_counts, { total: 4, completed: 4, failed: 0 })
  })

test('a told Retry-After is waited for', async () => {
  const { begin, sent, clock } = await rig()
  await begin(lineOf(0))
  sent[0]!.answer(429, { retryAfter: 20 })
  await clock.advance(19_000)
  assert.equal(sent.length, 1)
  await clock.advance(1100)
  assert.equal(sent.length, 2)
})

test('a batch that waits for its workers does not hold up another one', async () => {
  const { begin, sent, clock } = await rig({ batchConcurrency: 1 })
  await begin(linesOf(3))
  await begin(linesOf(2))
  sent[0]!.answer(503, { retryAfter: 30 })
  await clock.advance(0)
  assert.equal(sent.length, 2)
  sent[1]!.answer()
  await clock.advance(0)
  assert.deepEqual(
    sent.map(({ n }) => n),
    [0, 0, 1],
  )
})

test('what was answered before the router was killed stays; the rest goes out again, and once', async () => {
  const first = await rig()
  const batch = await first.begin(linesOf(10))
  for (const line of first.sent.splice(0)) line.answer()
  await first.clock.advance(0)
  assert.equal((await first.now(batch)).request_counts.completed, 4)
  const second = await rig({}, first.tables)
  // Answers that come to the one that is gone are not told twice.
  first.sent[0]!.answer()
  while (second.sent.length > 0) {
    for (const line of second.sent.splice(0)) line.answer()
    await second.clock.advance(0)
  }
  const { status, output_file_id } = await second.now(batch)
  assert.equal(status, 'completed')
  const ids = parsed(await second.read(output_file_id!)).map((line) => line.custom_id)
  assert.deepEqual(
    ids,
    Array.from({ length: 10 }, (_, n) => `c${n}`),
  )
})

for (const status of ['validating', 'cancelling', 'finalizing'])
  test(`a batch that was ${status} when the router was killed goes on to its end`, async () => {
    const first = await rig()
    const batch = await first.begin(linesOf(2))
    first.actor.rest()
    first.tables.all('UPDATE batches SET status = ?', status)
    if (status === 'finalizing') first.tables.all('UPDATE lines SET state = 1')
    const second = await rig({}, first.tables)
    await second.clock.advance(0)
    for (const line of second.sent) line.answer()
    await second.clock.advance(0)
    assert.equal((await second.now(batch)).status, status === 'cancelling' ? 'cancelled' : 'completed')
    assert.deepEqual(second.failures, [])
  })

test('a cancelled batch ends its lines under way, keeps its answers, and tells which lines have none', async () => {
  const { begin, sent, now, clock, actor, read } = await rig({ batchConcurrency: 2 })
  const batch = await begin(linesOf(500))
  sent[0]!.answer()
  await clock.advance(0)
  const told = await actor.cancel(OWNER, batch.id)
  assert.equal(told && 'object' in told && told.status, 'cancelling')
  assert.ok(sent[1]!.call.signal.aborted)
  await clock.advance(0)
  const { status, request_counts, output_file_id, error_file_id, cancelled_at } = await now(batch)
  assert.deepEqual([status, cancelled_at], ['cancelled', 1000])
  assert.deepEqual(request_counts, { total: 500, completed: 1, failed: 499 })
  assert.equal(parsed(await read(output_file_id!)).length, 1)
  const left = parsed(await read(error_file_id!))
  assert.equal(new Set(left.map((line) => line.custom_id)).size, 499)
  assert.deepEqual((left[0]!.error as { code: string }).code, 'batch_cancelled')
  assert.equal(sent.length, 3)
  const again = await actor.cancel(OWNER, batch.id)
  assert.equal(again && 'object' in again && again.status, 'cancelled')
})

test('a batch that is over cannot be cancelled, and one of somebody else is not there', async () => {
  const { begin, sent, clock, actor } = await rig()
  const batch = await begin(lineOf(0))
  assert.equal(await actor.cancel('another', batch.id), null)
  assert.equal(await actor.batch('another', batch.id), null)
  sent[0]!.answer()
  await clock.advance(0)
  const refused = await actor.cancel(OWNER, batch.id)
  assert.ok(refused && 'code' in refused)
  assert.deepEqual([refused.status, refused.code], [409, 'batch_is_over'])
})

test('a batch whose window is over expires: what is answered stays', async () => {
  const { begin, sent, now, clock, read } = await rig()
  const batch = await begin(linesOf(6), 60_000)
  sent[0]!.answer()
  await clock.advance(59_000)
  assert.equal((await now(batch)).status, 'in_progress')
  await clock.advance(7000)
  const { status, request_counts, error_file_id, expires_at, expired_at } = await now(batch)
  assert.deepEqual([status, expires_at], ['expired', 1060])
  assert.ok(expired_at! >= 1060)
  assert.deepEqual(request_counts, { total: 6, completed: 1, failed: 5 })
  const [first] = parsed(await read(error_file_id!))
  assert.deepEqual((first!.error as { code: string }).code, 'batch_expired')
  assert.ok(sent[1]!.call.signal.aborted)
})

test('a drained router sends no further line', async () => {
  const { begin, sent, clock, actor } = await rig({ batchConcurrency: 1 })
  await begin(linesOf(3))
  actor.rest()
  sent[0]!.answer()
  await clock.advance(60_000)
  assert.equal(sent.length, 1)
})

for (const [what, text, errors] of [
  ['no lines', '\n \n', [['empty_file', null]]],
  ['too many lines', linesOf(4), [['too_many_lines', null]]],
  [
    'wrong lines',
    `{\n${lineOf(1)}\n\n${lineOf(1)}`,
    [
      ['invalid_json_line', 1],
      ['duplicate_custom_id', 4],
    ],
  ],
] as const)
  test(`a batch of ${what} fails with a word for each fault, and sends nothing`, async () => {
    const { begin, sent, now, actor } = await rig({ batchLines: 3 })
    const batch = await begin(text)
    const { status, errors: told, failed_at, output_file_id } = await now(batch)
    assert.deepEqual([status, failed_at, output_file_id], ['failed', 1000, null])
    assert.deepEqual(
      told!.data.map(({ code, line }) => [code, line]),
      errors,
    )
    assert.equal(sent.length, 0)
    assert.equal((await actor.files(OWNER, { limit: 10 }))!.items.length, 1)
  })
