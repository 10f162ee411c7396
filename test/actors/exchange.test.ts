import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pool } from '../../src/actors/pool.ts'
import { isLookedAfterBy, shardName } from '../../src/actors/shards.ts'
import { ask, member, planOf } from './_pool.ts'
import { pools } from './_shards.ts'

const prefix = Float64Array.from({ length: 8 }, (_, i) => i + 1)
const two = [member('a'), member('b')]
const done = { kind: 'done', status: 200 } as const
const workerOf = async (pool: Pool, change = {}) => (await planOf(pool.pick(ask(change)))).worker.id

test('what one pool sent weighs in the others, with its backlog, until it is settled', async () => {
  const rig = await pools({ policy: 'least_cost' }, two)
  const [one, other] = rig.pools as [Pool, Pool]
  const busy = await planOf(one.pick(ask({ id: 'x', tokens: 50_000 })))
  await rig.clock.advance(10)
  const free = busy.worker.id === 'a' ? 'b' : 'a'
  for (let i = 0; i < 3; i++) assert.equal(await workerOf(other, { tokens: 10 }), free)
  one.settle('x', done)
  await rig.clock.advance(10)
  assert.equal(await workerOf(other, { tokens: 10 }), busy.worker.id)
})

test('a pool tells at once, and then no more often than every 10 ms, and only what changed', async () => {
  const rig = await pools({}, two)
  const [one] = rig.pools as [Pool]
  await rig.clock.advance(50)
  const begun = rig.clock.now()
  rig.told.length = 0
  for (let i = 0; i < 40; i++) {
    await planOf(one.pick(ask()))
    await rig.clock.advance(1)
  }
  const times = rig.told.map(({ at }) => at - begun)
  assert.deepEqual(times, [0, 10, 20, 30, 40])
  assert.ok(rig.told.every(({ digest }) => digest.workers.length <= 2))
  await rig.clock.advance(500)
  assert.equal(rig.told.length, 5)
})

test('a digest that was lost is made good by the next whole one', async () => {
  const rig = await pools({}, two)
  const [one, other] = rig.pools as [Pool, Pool]
  rig.lost.add(shardName(0))
  const first = await workerOf(one)
  await rig.clock.advance(10)
  rig.lost.clear()
  assert.equal(other.view().workers.find(({ id }) => id === first)?.in_flight, 0)
  await rig.clock.advance(2000)
  const decision = await other.explain(ask())
  const seen = decision.candidates.find(({ worker }) => worker === first)
  assert.equal(seen?.foreign_calls, 1)
})

test('a pool that falls silent is forgotten', async () => {
  const rig = await pools({}, two)
  const [one, other] = rig.pools as [Pool, Pool]
  await workerOf(one)
  await rig.clock.advance(10)
  rig.lost.add(shardName(0))
  const seen = async () =>
    (await other.explain(ask())).candidates.reduce((sum, { foreign_calls: calls }) => sum + (calls ?? 0), 0)
  assert.equal(await seen(), 1)
  await rig.clock.advance(9000)
  assert.equal(await seen(), 0)
})

test('limits hold over all pools, and who waits gets the place that another pool gives back', async () => {
  for (const limit of [{ maxInFlight: 1 }, { maxInFlightPerWorker: 1 }]) {
    const rig = await pools(limit, [member('a')])
    const [one, other] = rig.pools as [Pool, Pool]
    await planOf(one.pick(ask({ id: 'x' })))
    await rig.clock.advance(10)
    let plan: unknown = null
    void Promise.resolve(other.pick(ask({ queueUntil: rig.clock.now() + 60_000 }))).then(
      (pick) => (plan = pick),
    )
    await rig.clock.advance(100)
    assert.equal(plan, null)
    one.settle('x', done)
    await rig.clock.advance(20)
    assert.notEqual(plan, null, JSON.stringify(limit))
  }
})

test('routers tell where prompts went, so that the next turn finds it by whichever it comes; shards do not', async () => {
  for (const sharesPrompts of [true, false]) {
    const rig = await pools({ policy: 'least_cost' }, [...two, member('c')], { sharesPrompts })
    const [one, other] = rig.pools as [Pool, Pool]
    const prompt = { prefix, promptBytes: 2048, tokens: 512 }
    const holder = await workerOf(one, { id: 'x', ...prompt })
    one.settle('x', done)
    await rig.clock.advance(20)
    const { candidates } = await other.explain(ask(prompt))
    const matched = candidates.find(({ worker }) => worker === holder)?.matched_tokens ?? 0
    assert.equal(matched > 0, sharesPrompts)
  }
})

test('each worker is probed by one shard, which tells the others that it is out or back', async () => {
  const members = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => member(id))
  const rig = await pools({ healthInterval: '1s', healthFailures: 1, poolShards: 2 }, members)
  await rig.clock.advance(3000)
  const probers = new Map<string, Set<string>>()
  for (const [pool, worker] of rig.probed) probers.set(worker, (probers.get(worker) ?? new Set()).add(pool))
  assert.equal(probers.size, 6)
  for (const [worker, names] of probers) {
    assert.equal(names.size, 1, worker)
    assert.ok(isLookedAfterBy([...names][0] as string, 2, `http://${worker}`))
  }
  const states = () => rig.pools.map((pool) => pool.view().workers.find(({ id }) => id === 'c')?.state)
  rig.dead.add('c')
  await rig.clock.advance(3000)
  assert.deepEqual(states(), ['down', 'down'])
  rig.dead.clear()
  await rig.clock.advance(4000)
  assert.deepEqual(states(), ['up', 'up'])
})
