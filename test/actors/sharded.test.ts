import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Remote } from '../../src/actors/actor.ts'
import { localActors, memoryStorage, strict } from '../../src/actors/local.ts'
import type { Pool } from '../../src/actors/pool.ts'
import { shardName, shardOf } from '../../src/actors/shards.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { createClock } from '../_clock.ts'
import { ask, planOf } from './_pool.ts'

const done = { kind: 'done', status: 200 } as const

/** Four shards behind a wall that only lets plain values through. */
async function rig(change: ConfigInput = {}) {
  const clock = createClock()
  const workers = ['a', 'b', 'c'].map((name) => ({
    url: `http://${name}:1`,
    engine: 'vllm' as const,
    models: ['m'],
  }))
  const config = configSchema.parse({ poolShards: 4, healthInterval: 'off', workers, ...change })
  const failed: unknown[] = []
  const seams = {
    fetch: () => Promise.reject(new Error('no network')),
    relay: () => new Response(),
    now: clock.now,
    random: () => 0,
    timer: clock.timer,
    after: (work: Promise<unknown>) => void work.catch((error: unknown) => failed.push(error)),
    log() {},
  }
  const actors = strict(localActors(config, seams, memoryStorage))
  await actors.registry('main').start()
  await clock.advance(0)
  const shards = Array.from({ length: 4 }, (_, index) => actors.pool(shardName(index)))
  const leases = () => Promise.all(shards.map(async (shard) => (await shard.view()).leases))
  return { pool: actors.pool('main') as Remote<Pool>, shards, leases, clock, failed }
}

const session = (index: number) => `s${index}`

test('the calls of a session are decided, noted, and settled in one shard, and all shards have some', async () => {
  const { pool, shards, leases } = await rig()
  const expected = [0, 0, 0, 0]
  for (let i = 0; i < 40; i++) {
    const one = ask({ id: `x${i}`, session: session(i) })
    expected[shardOf(one, 4)]!++
    await planOf(pool.pick(one))
  }
  assert.deepEqual(await leases(), expected)
  assert.ok(
    expected.every((count) => count > 3),
    expected.join(),
  )
  const backlog = async () =>
    (await Promise.all(shards.map(async (shard) => shard.view()))).map(({ workers }) =>
      workers.reduce((sum, seat) => sum + seat.backlog_tokens, 0),
    )
  assert.deepEqual(
    await backlog(),
    expected.map((count) => count * 100),
  )
  await pool.note(Array.from({ length: 40 }, (_, i) => ({ id: `x${i}`, kind: 'first' as const, after: 10 })))
  assert.deepEqual(await backlog(), [0, 0, 0, 0])
  for (let i = 0; i < 40; i++) await pool.settle(`x${i}`, done)
  assert.deepEqual(await leases(), [0, 0, 0, 0])
})

const blocks = (...hashes: number[]) => Float64Array.from(hashes)
const shared = Array.from({ length: 12 }, (_, i) => 1e6 + i)

const KEYS = [
  [
    'a session, whatever the prompt',
    { session: 's', prefix: blocks(1) },
    { session: 's', prefix: blocks(2) },
  ],
  [
    'a conversation, whatever block',
    { conversation: 9, prefix: blocks(1) },
    { conversation: 9, prefix: null },
  ],
  ['the block at 2 KiB', { prefix: blocks(...shared, 1) }, { prefix: blocks(...shared.slice(0, 9), 2) }],
  ['the last block of short prompts', { prefix: blocks(1, 2) }, { prefix: blocks(3, 2) }],
] as const

for (const [what, one, other] of KEYS) {
  test(`turns are kept together by ${what}`, () => {
    for (const count of [1, 2, 5, 64]) {
      const shard = shardOf(ask(one), count)
      assert.ok(shard >= 0 && shard < count && Number.isInteger(shard))
      assert.equal(shardOf(ask(other), count), shard)
    }
  })
}

test('conversations with one system prompt are spread over the shards', () => {
  const prefix = blocks(...shared)
  const got = Array.from({ length: 400 }, (_, i) => shardOf(ask({ conversation: i * 7919, prefix }), 4))
  for (let shard = 0; shard < 4; shard++) assert.ok(got.filter((one) => one === shard).length > 60)
})

test('a retry goes to the shard that has the lease', async () => {
  const { pool, leases } = await rig()
  const one = ask({ session: 'x' })
  const first = await planOf(pool.pick(one))
  const second = await planOf(pool.repick({ kind: 'connect' }, one, [first.worker.id]))
  assert.notEqual(second.worker.id, first.worker.id)
  assert.equal(
    (await leases()).reduce((a, b) => a + b),
    1,
  )
})

test('the view counts every call once, and every worker once', async () => {
  const { pool, clock } = await rig()
  for (let i = 0; i < 20; i++) await planOf(pool.pick(ask({ id: `x${i}`, session: session(i) })))
  await clock.advance(50)
  for (let i = 0; i < 5; i++) await pool.settle(`x${i}`, done)
  await clock.advance(50)
  const view = await pool.view()
  assert.equal(view.workers.length, 3)
  assert.equal(view.leases, 15)
  assert.equal(
    view.workers.reduce((sum, seat) => sum + seat.in_flight, 0),
    15,
  )
  assert.equal(
    view.workers.reduce((sum, seat) => sum + seat.served, 0),
    5,
  )
  assert.equal(
    view.workers.reduce((sum, seat) => sum + seat.backlog_tokens, 0),
    1500,
  )
})

test('decisions are found, dry runs made, and the shadow policy reported over all shards', async () => {
  const { pool } = await rig({ shadowPolicy: 'round_robin' })
  for (let i = 0; i < 12; i++) await planOf(pool.pick(ask({ id: `x${i}`, session: session(i) })))
  for (let i = 0; i < 12; i++) assert.equal((await pool.decision(`x${i}`))?.id, `x${i}`)
  assert.equal(await pool.decision('nobody'), null)
  assert.equal((await pool.explain(ask({ session: 'x' }))).outcome, 'would_send')
  const shadow = await pool.shadow()
  assert.equal(shadow?.decisions, 12)
  const shares = shadow?.shadow.workers.map(({ call_share: share }) => share) ?? []
  assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-3)
})

test('stored state is found whichever shard its call had', async () => {
  const { pool } = await rig()
  for (let i = 0; i < 8; i++) {
    const { worker } = await planOf(pool.pick(ask({ id: `x${i}`, session: session(i) })))
    await pool.note([{ id: `x${i}`, kind: 'state', state: `resp_${i}` }])
    assert.equal(await pool.holder(`resp_${i}`), worker.id)
  }
  await pool.hold('resp_else', 'w')
  assert.equal(await pool.holder('nothing'), null)
})

test('what ended is not renewed, and settling twice is harmless', async () => {
  const { pool, leases, clock } = await rig()
  const { worker } = await planOf(pool.pick(ask({ id: 'x', session: 'x' })))
  await pool.settle('x', done)
  await pool.settle('x', done)
  await pool.renew([{ id: 'x', worker: worker.id, tokens: 100, isDecoding: true }])
  await clock.advance(10)
  assert.deepEqual(await leases(), [0, 0, 0, 0])
})
