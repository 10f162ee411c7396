import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Outcome } from '../../src/actors/ask.ts'
import { settle } from '../_clock.ts'
import { ask, member, planOf, refusalOf, rig } from './_pool.ts'

const done: Outcome = { kind: 'done', status: 200 }
const renewal = (id: string, worker = 'a') => ({ id, worker, tokens: 100, isDecoding: true })
const workerOf = async (...args: Parameters<typeof planOf>) => (await planOf(...args)).worker.id

test('a pick accounts at once, and settling twice frees once', async () => {
  const { pool } = await rig({}, member('a'))
  const one = ask()
  await planOf(pool.pick(one))
  assert.equal(pool.view().in_flight, 1)
  assert.equal(pool.view().workers[0]?.backlog_tokens, 100)
  pool.settle(one.id, done)
  pool.settle(one.id, done)
  assert.equal(pool.view().in_flight, 0)
  assert.equal(pool.view().workers[0]?.in_flight, 0)
  assert.equal(pool.view().workers[0]?.backlog_tokens, 0)
})

test('the same id again gets the same plan and no second lease', async () => {
  const { pool } = await rig({}, member('a'), member('b'))
  const one = ask()
  assert.equal(await workerOf(pool.pick(one)), await workerOf(pool.pick(one)))
  assert.equal(pool.view().in_flight, 1)
})

test('the first token takes the prompt out of the backlog', async () => {
  const { pool } = await rig({}, member('a'))
  const one = ask()
  await planOf(pool.pick(one))
  pool.note([{ id: one.id, kind: 'first', after: 40 }])
  pool.note([{ id: one.id, kind: 'first', after: 40 }])
  const [seat] = pool.view().workers
  assert.equal(seat?.backlog_tokens, 0)
  assert.equal(seat?.latency_ms, 40)
  assert.equal(seat?.in_flight, 1)
})

test('a failed attempt goes to another worker, not to the same', async () => {
  const { pool } = await rig({}, member('a'), member('b'))
  const one = ask()
  const first = await workerOf(pool.pick(one))
  const second = await planOf(pool.repick({ kind: 'reset' }, one))
  assert.notEqual(second.worker.id, first)
  assert.equal(second.attempt, 2)
  assert.equal(second.delay, 0)
  assert.equal(pool.view().in_flight, 1)
})

test('the only worker is tried again after a growing pause', async () => {
  const { pool } = await rig({ retries: 3, retryJitter: 0 }, member('a'))
  const one = ask()
  await planOf(pool.pick(one))
  const delays = []
  for (let i = 0; i < 3; i++) delays.push((await planOf(pool.repick({ kind: 'reset' }, one))).delay)
  assert.deepEqual(delays, [50, 75, 112.5])
  assert.equal((await refusalOf(pool.repick({ kind: 'reset' }, one))).code, 'no_retry')
  assert.equal(pool.view().in_flight, 0)
})

test('a worker that said when to come back is not waited for, and others go first', async () => {
  const { pool, clock } = await rig({}, member('a'), member('b'))
  const one = ask()
  const busy = await workerOf(pool.pick(one))
  const other = await workerOf(pool.repick({ kind: 'status', status: 503, retryAfter: 2000 }, one))
  for (let i = 0; i < 5; i++) assert.equal(await workerOf(pool.pick(ask())), other)
  await clock.advance(2001)
  assert.equal(await workerOf(pool.pick(ask())), busy)
})

test('the only worker, busy until later, is not tried again: its answer goes to the client', async () => {
  const { pool } = await rig({}, member('a'))
  const one = ask()
  await planOf(pool.pick(one))
  assert.equal(
    (await refusalOf(pool.repick({ kind: 'status', status: 429, retryAfter: 1000 }, one))).code,
    'no_retry',
  )
})

for (const kind of ['first_token_timeout', 'total_timeout', 'aborted'] as const) {
  test(`${kind} is not tried again`, async () => {
    const { pool } = await rig({}, member('a'), member('b'))
    const one = ask()
    await planOf(pool.pick(one))
    assert.equal((await refusalOf(pool.repick({ kind }, one))).code, 'no_retry')
  })
}

test('a call that makes state is tried again only if it never connected', async () => {
  const { pool } = await rig({}, member('a'), member('b'))
  const one = ask({ makesState: true })
  await planOf(pool.pick(one))
  await planOf(pool.repick({ kind: 'connect' }, one))
  assert.equal((await refusalOf(pool.repick({ kind: 'status', status: 503 }, one))).code, 'no_retry')
})

test('retries stop at the budget: the floor, then a share of the calls', async () => {
  const { pool } = await rig(
    { retryFloor: 2, retryBudget: 0.1, breakerFailures: 0 },
    member('a'),
    member('b'),
  )
  let allowed = 0
  for (let i = 0; i < 50; i++) {
    const one = ask()
    await planOf(pool.pick(one))
    if ('plan' in (await pool.repick({ kind: 'reset' }, one))) allowed++
    pool.settle(one.id, done)
  }
  assert.ok(allowed >= 6 && allowed <= 7, String(allowed))
})

test('calls that move from a dead worker to a well one are not counted against the budget, storms are', async () => {
  const { pool } = await rig(
    { retryFloor: 1, retryBudget: 0, healthInterval: 'off' },
    member('a'),
    member('b'),
  )
  const asks = Array.from({ length: 40 }, () => ask())
  const dead = 'a'
  for (const one of asks) await planOf(pool.pick(one))
  let moved = 0
  for (const one of asks) {
    if ((await workerOf(pool.pick(one))) !== dead) continue
    if ('plan' in (await pool.repick({ kind: 'reset' }, one))) moved++
  }
  assert.equal(moved, 20)
  let storm = 0
  for (const one of asks) if ('plan' in (await pool.repick({ kind: 'reset' }, one))) storm++
  assert.ok(storm <= 2, String(storm))
})

test('consecutive failures open the breaker, half-open lets one call probe, successes close it', async () => {
  const { pool, clock } = await rig(
    { breakerFailures: 2, breakerSuccesses: 2, retries: 0, breakerOpen: '30s' },
    member('a'),
  )
  for (let i = 0; i < 2; i++) {
    const one = ask()
    await planOf(pool.pick(one))
    pool.settle(one.id, { kind: 'failed', failure: { kind: 'reset' } })
  }
  const refusal = await refusalOf(pool.pick(ask()))
  assert.deepEqual([refusal.code, refusal.status, refusal.retryAfter], ['no_workers', 503, 30])
  await clock.advance(30_000)
  const probe = ask()
  await planOf(pool.pick(probe))
  assert.equal((await refusalOf(pool.pick(ask()))).code, 'no_workers')
  pool.settle(probe.id, done)
  const second = ask()
  await planOf(pool.pick(second))
  pool.settle(second.id, done)
  assert.equal(pool.view().workers[0]?.breaker, 'closed')
})

test('a tunnel that came back is no longer held to what failed before', async () => {
  const made = await rig({ breakerFailures: 2, retries: 0, healthInterval: 'off' }, member('a'))
  for (let i = 0; i < 2; i++) {
    const one = ask()
    await planOf(made.pool.pick(one))
    made.pool.settle(one.id, { kind: 'failed', failure: { kind: 'connect' } })
  }
  assert.equal(made.pool.view().workers[0]?.breaker, 'open')
  await made.join(member('a', { reachable: false }))
  assert.equal((await refusalOf(made.pool.pick(ask()))).code, 'no_workers')
  await made.join(member('a'))
  assert.equal(made.pool.view().workers[0]?.breaker, 'closed')
  assert.equal(await workerOf(made.pool.pick(ask())), 'a')
})

test('the failures of a client and the busy answers of an engine never open the breaker', async () => {
  const { pool } = await rig({ breakerFailures: 2 }, member('a'))
  for (const status of [400, 404, 422, 429, 503, 400, 503]) {
    const one = ask()
    await planOf(pool.pick(one))
    pool.settle(one.id, { kind: 'done', status })
  }
  assert.equal(pool.view().workers[0]?.breaker, 'closed')
})

test('the cap of a worker holds until the call ends; waiters go in when it does', async () => {
  const { pool } = await rig({ maxInFlightPerWorker: 1 }, member('a'))
  const one = ask()
  const two = ask()
  await planOf(pool.pick(one))
  const waiting = pool.pick(two)
  pool.note([{ id: one.id, kind: 'first', after: 1 }])
  await settle()
  assert.equal(pool.view().queued, 1)
  assert.equal(pool.view().workers[0]?.in_flight, 1)
  pool.settle(one.id, done)
  assert.equal(await workerOf(waiting), 'a')
  assert.equal(pool.view().queued, 0)
})

test('a queue that is full refuses with 429 and says when to come back', async () => {
  const { pool } = await rig({ maxInFlight: 1, queueSize: 1 }, member('a'))
  await planOf(pool.pick(ask()))
  void pool.pick(ask())
  const refusal = await refusalOf(pool.pick(ask()))
  assert.deepEqual([refusal.status, refusal.code], [429, 'queue_full'])
  assert.ok((refusal.retryAfter as number) >= 1)
})

test('a waiter that leaves frees its place in the queue at once', async () => {
  const { pool } = await rig({ maxInFlight: 1, queueSize: 1 }, member('a'))
  await planOf(pool.pick(ask()))
  const gone = ask()
  const left = pool.pick(gone)
  pool.settle(gone.id, { kind: 'left' })
  assert.equal((await refusalOf(left)).code, 'client_left')
  void pool.pick(ask())
  assert.equal(pool.view().queued, 1)
})

test('a waiter whose time is up is refused, not served', async () => {
  const { pool, clock } = await rig({ maxInFlight: 1 }, member('a'))
  const one = ask()
  await planOf(pool.pick(one))
  const late = pool.pick(ask({ queueUntil: clock.now() + 1000 }))
  await clock.advance(1001)
  pool.expire()
  assert.equal((await refusalOf(late)).code, 'queue_timeout')
})

test('waiters go by priority, then by what their tenant had, then by arrival', async () => {
  const { pool } = await rig({ maxInFlight: 1 }, member('a'))
  const first = ask()
  await planOf(pool.pick(first))
  const order: string[] = []
  const enter = (name: string, change: Parameters<typeof ask>[0]) => {
    const one = ask(change)
    const pick = pool.pick(one) as Promise<unknown>
    void pick.then(() => {
      order.push(name)
      pool.settle(one.id, done)
    })
  }
  enter('greedy 1', { tenant: 'greedy', tokens: 10_000 })
  enter('greedy 2', { tenant: 'greedy', tokens: 10_000 })
  enter('modest', { tenant: 'modest', tokens: 10 })
  enter('urgent', { tenant: 'greedy', priority: -1 })
  pool.settle(first.id, done)
  await settle()
  assert.deepEqual(order, ['urgent', 'modest', 'greedy 1', 'greedy 2'])
})

test('calls go only to workers that have the model and the endpoint', async () => {
  const other = member('b', { models: ['n'], ref: { id: 'b', url: 'http://b', engine: 'sglang' } })
  const { pool } = await rig({}, member('a'), other)
  assert.equal(await workerOf(pool.pick(ask({ model: 'n' }))), 'b')
  assert.equal(await workerOf(pool.pick(ask({ model: null, engines: ['sglang'] }))), 'b')
  // No engine that has the model is known to have the endpoint: its own answer is the truth.
  assert.equal(await workerOf(pool.pick(ask({ model: 'm', engines: ['sglang'] }))), 'a')
})

test('a draining worker gets no new calls, but those that build on its state', async () => {
  const { pool } = await rig({}, member('a', { draining: true }), member('b'))
  for (let i = 0; i < 4; i++) assert.equal(await workerOf(pool.pick(ask())), 'b')
  assert.equal(await workerOf(pool.pick(ask({ pin: 'a' }))), 'a')
})

test('a worker that leaves finishes what it has; a new one takes calls', async () => {
  const { pool, join } = await rig({}, member('a'))
  const one = ask()
  await planOf(pool.pick(one))
  await join(member('b'))
  assert.equal(await workerOf(pool.pick(ask())), 'b')
  pool.settle(one.id, done)
  assert.equal(pool.view().in_flight, 1)
})

test('waiters whose model vanished are refused', async () => {
  const { pool, join } = await rig({ maxInFlightPerWorker: 1 }, member('a'))
  await planOf(pool.pick(ask()))
  const waiting = pool.pick(ask())
  await join(member('b', { models: ['n'] }))
  assert.equal((await refusalOf(waiting)).code, 'no_workers')
})

test('a worker that refuses connections is out after the next probe, and back when it answers', async () => {
  const { pool, clock, health } = await rig({ healthInterval: '10s' }, member('a'), member('b'))
  await clock.advance(1)
  health.set('a', 'refused')
  const one = ask()
  while ((await workerOf(pool.pick({ ...one }))) !== 'a') pool.settle(one.id, done)
  await planOf(pool.repick({ kind: 'connect' }, one))
  await clock.advance(1)
  assert.equal(pool.view().workers.find((worker) => worker.id === 'a')?.state, 'down')
  health.set('a', 'up')
  await clock.advance(1000)
  assert.equal(pool.view().workers.find((worker) => worker.id === 'a')?.state, 'up')
})

test('three failed probes take a worker out', async () => {
  const { pool, clock, health } = await rig({ healthInterval: '10s' }, member('a'))
  health.set('a', 500)
  await clock.advance(19_999)
  assert.equal(pool.view().workers[0]?.state, 'up')
  await clock.advance(1)
  assert.equal(pool.view().workers[0]?.state, 'down')
  assert.equal((await refusalOf(pool.pick(ask()))).code, 'no_workers')
})

test('a worker whose /health hangs while it answers tokens stays in', async () => {
  const { pool, clock, health } = await rig({ healthInterval: '10s', healthTimeout: '1s' }, member('a'))
  health.set('a', 'silent')
  const one = ask()
  await planOf(pool.pick(one))
  pool.note([{ id: one.id, kind: 'first', after: 5 }])
  for (let i = 0; i < 10; i++) {
    await clock.advance(10_000)
    await pool.renew([renewal(one.id)])
  }
  assert.equal(pool.view().workers[0]?.state, 'up')
  pool.settle(one.id, done)
  await clock.advance(60_000)
  assert.equal(pool.view().workers[0]?.state, 'down')
})

test('a lease that nobody renews falls; a renewed one stays', async () => {
  const { pool, clock } = await rig({ healthInterval: '10s' }, member('a'))
  const lost = ask()
  const live = ask()
  await planOf(pool.pick(lost))
  await planOf(pool.pick(live))
  await clock.advance(100_000)
  await pool.renew([renewal(live.id)])
  await clock.advance(60_000)
  assert.equal(pool.view().in_flight, 1)
})

test('what a worker stored is found again', async () => {
  const { pool } = await rig({}, member('a'))
  const one = ask()
  await planOf(pool.pick(one))
  pool.settle(one.id, { ...done, state: 'resp_1' })
  assert.equal(pool.holder('resp_1'), 'a')
  assert.equal(pool.holder('resp_2'), null)
  const two = ask()
  await planOf(pool.pick(two))
  pool.note([{ id: two.id, kind: 'state', state: 'resp_2' }])
  assert.equal(pool.holder('resp_2'), 'a')
})

test('whatever happens, in any order, no load is left and no cap is broken', async () => {
  const step = fc.record({
    kind: fc.constantFrom(
      'pick',
      'pick',
      'pick',
      'first',
      'done',
      'failed',
      'left',
      'repick',
      'join',
      'time',
    ),
    at: fc.nat(30),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { pool, clock, join } = await rig(
        { maxInFlightPerWorker: 2, maxInFlight: 5, queueSize: 4 },
        member('a'),
        member('b'),
        member('c'),
      )
      const asks: ReturnType<typeof ask>[] = []
      for (const { kind, at } of steps) {
        const one = asks[at % Math.max(1, asks.length)]
        if (kind === 'pick') {
          asks.push(ask({ model: at % 5 === 0 ? null : 'm' }))
          void pool.pick(asks.at(-1) as ReturnType<typeof ask>)
        } else if (kind === 'join')
          await join(...['a', 'b', 'c'].slice(0, 1 + (at % 3)).map((id) => member(id)))
        else if (kind === 'time') await clock.advance(at * 1000)
        else if (!one) continue
        else if (kind === 'first') pool.note([{ id: one.id, kind: 'first', after: 1 }])
        else if (kind === 'repick') void pool.repick({ kind: at % 2 ? 'reset' : 'connect' }, one)
        else if (kind === 'failed') pool.settle(one.id, { kind: 'failed', failure: { kind: 'reset' } })
        else pool.settle(one.id, kind === 'done' ? done : { kind: 'left' })
        const view = pool.view()
        assert.ok(view.in_flight <= 5 && view.queued <= 4)
        for (const worker of view.workers)
          assert.ok(worker.in_flight <= 2 && worker.in_flight >= 0 && worker.backlog_tokens >= 0)
      }
      for (const one of asks) pool.settle(one.id, { kind: 'left' })
      for (const one of asks) pool.settle(one.id, { kind: 'left' })
      const view = pool.view()
      assert.deepEqual([view.in_flight, view.queued], [0, 0])
      for (const worker of view.workers) assert.deepEqual([worker.in_flight, worker.backlog_tokens], [0, 0])
    }),
    { numRuns: 60 },
  )
})
