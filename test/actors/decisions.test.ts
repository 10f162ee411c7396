import { test } from 'node:test'
import assert from 'node:assert/strict'
import { ask, member, planOf, refusalOf, rig } from './_pool.ts'

const PREFIX = Float64Array.from({ length: 16 }, (_, index) => index + 1)
const prompt = (change = {}) => ask({ prefix: PREFIX, promptBytes: 4096, tokens: 1000, ...change })
const usage = (cachedTokens: number) => ({
  promptTokens: 1024,
  cachedTokens,
  completionTokens: 5,
  estimated: false,
})

test('a call that waited has its wait in its decision, and the loads of the moment it was let in', async () => {
  const { pool, clock } = await rig({ maxInFlightPerWorker: 1 }, member('a'))
  const [first, second] = [ask(), ask()]
  await planOf(pool.pick(first))
  const waiting = pool.pick(second)
  await clock.advance(70)
  pool.settle(first.id, { kind: 'done', status: 200 })
  await planOf(waiting)
  const decision = pool.decision(second.id)
  assert.deepEqual([decision?.waited_ms, decision?.candidates[0]?.in_flight], [70, 0])
})

test('a call that found no room in time is explained by who was full', async () => {
  const { pool } = await rig({ maxInFlightPerWorker: 1, queueSize: 0 }, member('a'), member('b'))
  await planOf(pool.pick(ask()))
  await planOf(pool.pick(ask()))
  const late = ask()
  assert.equal((await refusalOf(pool.pick(late))).code, 'queue_full')
  pool.settle(late.id, { kind: 'left' })
  const decision = pool.decision(late.id)
  assert.deepEqual([decision?.outcome, decision?.refusal?.code], ['refused', 'queue_full'])
  assert.deepEqual(
    decision?.exclusions.map(({ reason }) => reason),
    ['full', 'full'],
  )
})

test('where all are at the pool’s own limit, that is the reason', async () => {
  const { pool } = await rig({ maxInFlight: 1, queueSize: 0 }, member('a'))
  await planOf(pool.pick(ask()))
  const late = ask()
  await refusalOf(pool.pick(late))
  assert.deepEqual(pool.decision(late.id)?.exclusions, [{ worker: 'a', reason: 'pool_full' }])
  const dry = await pool.explain(ask())
  assert.deepEqual([dry.outcome, dry.worker, dry.candidates.length], ['would_wait', null, 1])
})

test('a dry run leaves the pool as it is, and no sticky policy remembers it', async () => {
  for (const policy of ['least_cost', 'manual', 'cache_aware', 'sticky_least_loaded', 'bucket']) {
    const { pool } = await rig({ policy }, member('a'), member('b'))
    const before = pool.view()
    const dry = []
    for (let round = 0; round < 3; round++) dry.push(await pool.explain(prompt({ session: 's' })))
    assert.deepEqual(pool.view(), before, policy)
    const [first] = dry
    assert.ok(
      dry.every(({ worker }) => worker === first?.worker),
      policy,
    )
    assert.equal((await planOf(pool.pick(prompt({ session: 's' })))).worker.id, first?.worker, policy)
  }
})

test('a worker that opened its breaker, one that is down and one that is suspect are told apart', async () => {
  const config = { breakerFailures: 1, retries: 5 }
  const { pool, health, clock } = await rig(config, member('a'), member('b'), member('c'))
  health.set('b', 'refused')
  await clock.advance(40_000)
  const call = ask()
  await planOf(pool.pick(call))
  await planOf(pool.repick({ kind: 'reset' }, call))
  const reasons = new Map(pool.decision(call.id)?.exclusions.map(({ worker, reason }) => [worker, reason]))
  assert.deepEqual([reasons.get('a'), reasons.get('b')], ['breaker_open', 'down'])
})

test('a call that the router settled for itself is told as degraded', async () => {
  const { pool } = await rig({}, member('a'), member('b'))
  pool.settle('d-alone', { kind: 'done', status: 200, alone: ['b'] })
  const decision = pool.decision('d-alone')
  assert.deepEqual([decision?.degraded, decision?.worker, decision?.outcome], [true, 'b', 'done'])
  const call = ask()
  await planOf(pool.pick(call))
  pool.settle(call.id, { kind: 'done', status: 200, alone: ['a', 'b'] })
  assert.deepEqual(
    pool.decision(call.id)?.attempts.map(({ worker, outcome }) => [worker, outcome]),
    [
      ['a', 'failed'],
      ['b', 'done'],
    ],
  )
})

test('what was expected and what was cached add up per worker, once the engine has told of any', async () => {
  const { pool } = await rig({ policy: 'least_cost' }, member('a'))
  for (const cached of [0, 1000, 500]) {
    const call = prompt()
    await planOf(pool.pick(call))
    pool.settle(call.id, { kind: 'done', status: 200, usage: usage(cached) })
  }
  const [worker] = pool.view().workers
  assert.equal(worker?.cached_tokens, 1500)
  assert.ok((worker?.predicted_cached_tokens ?? 0) > 1900)
  assert.ok((worker?.prediction_error_tokens ?? 0) > 450)
})

test('a shadow keeps an account of its own: who would be busy with what', async () => {
  const config = { policy: 'round_robin', shadowPolicy: 'least_load' }
  const { pool } = await rig(config, member('a'), member('b', { weight: 3 }))
  for (let round = 0; round < 8; round++) await planOf(pool.pick(ask()))
  const report = pool.shadow()
  const calls = (side: 'first' | 'shadow') =>
    Object.fromEntries(report?.[side].workers.map((one) => [one.worker, one.calls]) ?? [])
  assert.deepEqual(
    [calls('first'), calls('shadow')],
    [
      { a: 4, b: 4 },
      { a: 2, b: 6 },
    ],
  )
  assert.equal(report?.shadow.load_share_max, 0.75)
})

test('a shadow’s places are free again when the real calls end, however they do', async () => {
  const { pool, clock } = await rig(
    { policy: 'round_robin', shadowPolicy: 'least_load' },
    member('a'),
    member('b'),
  )
  const calls = Array.from({ length: 4 }, () => ask())
  for (const call of calls) await planOf(pool.pick(call))
  pool.note([{ id: (calls[0] as { id: string }).id, kind: 'first', after: 10 }])
  pool.settle((calls[0] as { id: string }).id, { kind: 'done', status: 200 })
  pool.settle((calls[1] as { id: string }).id, { kind: 'left' })
  // The routers of the others are gone.
  await clock.advance(400_000)
  for (let round = 0; round < 2; round++) await planOf(pool.pick(ask()))
  const shares = pool.shadow()?.shadow.workers.map((one) => one.calls)
  assert.deepEqual(shares, [3, 3])
})

test('a retry is no second call for a shadow', async () => {
  const { pool } = await rig({ shadowPolicy: 'least_load' }, member('a'), member('b'))
  const call = ask()
  await planOf(pool.pick(call))
  await planOf(pool.repick({ kind: 'reset' }, call))
  assert.equal(pool.shadow()?.decisions, 1)
})

test('a shadow predicts by its own view of the caches, which a flush empties', async () => {
  const config = { policy: 'round_robin', shadowPolicy: 'least_cost' }
  const { pool } = await rig(config, member('a'), member('b'))
  for (let round = 0; round < 4; round++) {
    const call = prompt()
    await planOf(pool.pick(call))
    pool.settle(call.id, { kind: 'done', status: 200 })
  }
  const before = pool.shadow()
  assert.deepEqual(
    before?.shadow.workers.map((one) => one.calls),
    [4],
  )
  assert.ok((before?.shadow.predicted_cached_tokens ?? 0) > (before?.first.predicted_cached_tokens ?? 0))
  pool.forget(null)
  await planOf(pool.pick(prompt()))
  assert.equal(pool.shadow()?.shadow.predicted_cached_tokens, before?.shadow.predicted_cached_tokens)
})

test('a worker that left is in no comparison any more', async () => {
  const { pool, join, clock } = await rig({ shadowPolicy: 'round_robin' }, member('a'), member('b'))
  for (let round = 0; round < 2; round++) {
    const call = ask()
    await planOf(pool.pick(call))
    pool.settle(call.id, { kind: 'done', status: 200 })
  }
  await join(member('a'))
  await clock.advance(400_000)
  const report = pool.shadow()
  assert.deepEqual(
    [report?.first, report?.shadow].map((side) => side?.workers.map(({ worker }) => worker)),
    [['a'], ['a']],
  )
})

test('what simple policies weigh is told too, and nothing where chance or turns decide', async () => {
  const costs = async (policy: string) => {
    const { pool } = await rig({ policy }, member('a', { weight: 2 }), member('b'))
    await planOf(pool.pick(ask()))
    const decided = await pool.explain(ask())
    return decided.candidates.map(({ cost }) => cost)
  }
  assert.deepEqual(await costs('least_load'), [0.5, 0])
  assert.deepEqual(await costs('least_latency'), [0, 0])
  assert.deepEqual(await costs('round_robin'), [null, null])
})
