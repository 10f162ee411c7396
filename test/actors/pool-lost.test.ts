// A pool that lost its memory (an object that was reset) while calls were under way: what the router still knows has to do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Renewal } from '../../src/actors/ask.ts'
import { ask, member, planOf, refusalOf, rig, type Rig } from './_pool.ts'

const renewal = (id: string, change: Partial<Renewal> = {}): Renewal => ({
  id,
  worker: 'a',
  tokens: 400,
  isDecoding: true,
  ...change,
})
const seatOf = ({ pool }: Rig, id: string) => {
  const seat = pool.view().workers.find((one) => one.id === id)
  assert.ok(seat)
  return seat
}

test('a stream that is renewed counts again, and its end frees its place', async () => {
  const made = await rig({ policy: 'least_cost' }, member('a'), member('b'))
  await made.pool.renew([renewal('d-old')])
  const { in_flight, backlog_tokens, held_tokens } = seatOf(made, 'a')
  assert.deepEqual(
    { in_flight, backlog_tokens, held_tokens },
    { in_flight: 1, backlog_tokens: 0, held_tokens: 400 },
  )
  assert.equal((await planOf(made.pool.pick(ask()))).worker.id, 'b')
  made.pool.settle('d-old', { kind: 'done', status: 200 })
  assert.equal(seatOf(made, 'a').in_flight, 0)
  assert.equal(seatOf(made, 'a').held_tokens, 0)
})

test('a call that still waits for its first token is backlog again, until that comes', async () => {
  const made = await rig({}, member('a'))
  await made.pool.renew([renewal('d-old', { isDecoding: false })])
  assert.equal(seatOf(made, 'a').backlog_tokens, 400)
  const { speed } = seatOf(made, 'a')
  for (let i = 0; i < 30; i++) made.pool.note([{ id: 'd-old', kind: 'first', after: 90_000 }])
  assert.equal(seatOf(made, 'a').backlog_tokens, 0)
  assert.equal(seatOf(made, 'a').speed, speed)
})

test('renewed twice it counts once, and falls when nobody renews it any more', async () => {
  const made = await rig({ healthInterval: 'off' }, member('a'))
  await made.pool.renew([renewal('d-old')])
  await made.pool.renew([renewal('d-old')])
  assert.equal(seatOf(made, 'a').in_flight, 1)
  await made.clock.advance(151_000)
  await made.clock.advance(151_000)
  assert.equal(made.pool.view().leases, 0)
})

test('a renewal that comes late leaves nothing behind when its call is sent elsewhere', async () => {
  const made = await rig({ maxInFlightPerWorker: 1 }, member('a'), member('b'))
  await planOf(made.pool.pick(ask({ pin: 'a' })))
  const other = ask({ pin: 'b' })
  await planOf(made.pool.pick(other))
  const late = ask()
  const waiting = made.pool.pick(late)
  await made.pool.renew([renewal(late.id)])
  made.pool.settle(other.id, { kind: 'done', status: 200 })
  assert.equal((await planOf(waiting)).worker.id, 'b')
  assert.equal(seatOf(made, 'a').in_flight, 1)
})

test('what goes on at a worker that left is not taken up', async () => {
  const made = await rig({}, member('a'))
  await made.pool.renew([renewal('d-old', { worker: 'gone' })])
  assert.equal(made.pool.view().leases, 0)
})

test('a failed attempt that nobody remembers goes to a worker that was not tried', async () => {
  for (const tried of ['a', 'b']) {
    const made = await rig({}, member('a'), member('b'))
    const plan = await planOf(made.pool.repick({ kind: 'reset' }, ask(), [tried]))
    assert.equal(plan.worker.id, tried === 'a' ? 'b' : 'a')
    assert.equal(plan.attempt, 2)
  }
})

test('and is refused as it would have been: when its attempts are used up, its time is up, or state may be made', async () => {
  const made = await rig({ retries: 2 }, member('a'), member('b'), member('c'), member('d'))
  const refused = async (...given: Parameters<typeof made.pool.repick>) =>
    (await refusalOf(made.pool.repick(...given))).code
  assert.equal(await refused({ kind: 'reset' }, ask(), ['a', 'b', 'c']), 'no_retry')
  assert.equal(await refused({ kind: 'first_token_timeout' }, ask(), ['a']), 'no_retry')
  assert.equal(await refused({ kind: 'reset' }, ask({ makesState: true }), ['a']), 'no_retry')
  assert.ok('plan' in (await made.pool.repick({ kind: 'connect' }, ask({ makesState: true }), ['a'])))
})

test('its failure counts against the worker', async () => {
  const made = await rig(
    { breakerFailures: 3, healthInterval: 'off', retryBudget: 1 },
    member('a'),
    member('b'),
  )
  for (let i = 0; i < 3; i++) await planOf(made.pool.repick({ kind: 'reset' }, ask(), ['a']))
  assert.equal(seatOf(made, 'a').breaker, 'open')
  const other = await rig({ healthInterval: '10s' }, member('a'), member('b'))
  await planOf(other.pool.repick({ kind: 'connect' }, ask(), ['a']))
  assert.equal(seatOf(other, 'a').state, 'suspect')
})
