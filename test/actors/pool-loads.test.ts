import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, member, planOf, rig, type Rig } from './_pool.ts'

const tells = (running: number, waiting = 0, usage = 0) =>
  [
    `vllm:num_requests_running{engine="0"} ${running}`,
    `vllm:num_requests_waiting{engine="0"} ${waiting}`,
    `vllm:kv_cache_usage_perc{engine="0"} ${usage}`,
    'vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="1000"} 1.0',
    '',
  ].join('\n')

const CONFIG = { policy: 'least_cost', loadInterval: '2s', healthInterval: 'off' } as const

/** Where so many calls go when each stays. */
async function spread({ pool }: Rig, calls: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < calls; i++) {
    const { worker } = await planOf(pool.pick(ask({ tokens: 1 })))
    counts[worker.id] = (counts[worker.id] ?? 0) + 1
  }
  return counts
}

const loadOf = ({ pool }: Rig, id: string) => pool.view().workers.find((worker) => worker.id === id)?.load

test("a worker that others keep busy gets none of a router's calls until both are as busy", async () => {
  const fleet = await rig(CONFIG, member('a'), member('b'))
  fleet.metrics.set('a', tells(16, 4)).set('b', tells(0))
  await fleet.clock.advance(100)
  assert.deepEqual(await spread(fleet, 18), { b: 18 })
  const { a = 0, b = 0 } = await spread(fleet, 20)
  assert.ok(Math.abs(a - b) <= 4, `${a} and ${b}`)
})

test('what an engine counts of our own calls is not counted twice', async () => {
  const fleet = await rig(CONFIG, member('a'), member('b'))
  const plans = await Promise.all([1, 2, 3, 4].map(() => planOf(fleet.pool.pick(ask({ tokens: 1 })))))
  const ours = (id: string) => plans.filter((plan) => plan.worker.id === id).length
  fleet.metrics.set('a', tells(ours('a'))).set('b', tells(ours('b')))
  await fleet.clock.advance(2500)
  assert.equal(loadOf(fleet, 'a')?.running, ours('a'))
  const { a = 0, b = 0 } = await spread(fleet, 20)
  assert.equal(a, b)
})

test('a worker that tells nothing gets no calls for that: it counts as the mean of the others', async () => {
  const fleet = await rig(CONFIG, member('silent'), member('b'), member('c'))
  fleet.metrics.set('b', tells(20)).set('c', tells(20))
  await fleet.clock.advance(600)
  const { silent = 0, b = 0, c = 0 } = await spread(fleet, 30)
  assert.ok(silent >= 8 && silent <= 12, `${silent} of 30 (${b}, ${c})`)
})

test('what was told is forgotten when the engine falls silent', async () => {
  const fleet = await rig(CONFIG, member('a'))
  fleet.metrics.set('a', tells(3, 1, 0.5))
  await fleet.clock.advance(100)
  assert.deepEqual(loadOf(fleet, 'a'), {
    running: 3,
    waiting: 1,
    waiting_uncached_tokens: null,
    used_tokens: 8000,
    capacity_tokens: 16_000,
    kv_usage: 0.5,
    age_ms: 100,
  })
  fleet.metrics.clear()
  await fleet.clock.advance(60_000)
  await spread(fleet, 1)
  assert.equal(loadOf(fleet, 'a'), null)
  assert.ok((fleet.pool.view().workers[0]?.load_failures ?? 0) >= 3)
  assert.deepEqual(
    fleet.logged.map(({ level, worker }) => [level, worker]),
    [['warn', 'a']],
  )
})

test('what is old is not shown, even where nothing happens', async () => {
  const fleet = await rig({ ...CONFIG, loadInterval: 'off' }, member('a'))
  const call = ask({ stream: false })
  await planOf(fleet.pool.pick(call))
  fleet.pool.settle(call.id, { kind: 'done', status: 200, load: { waiting: 7 } })
  await fleet.clock.advance(15_000)
  assert.equal(loadOf(fleet, 'a')?.waiting, 7)
  await fleet.clock.advance(1)
  assert.equal(loadOf(fleet, 'a'), null)
})

test('a capacity that an engine tells is the bound of what it is believed to hold', async () => {
  const fleet = await rig(CONFIG, member('a', { kvCapacityTokens: 500 }))
  assert.equal(fleet.pool.view().workers[0]?.capacity_tokens, 500)
  fleet.metrics.set('a', tells(0))
  await fleet.clock.advance(100)
  assert.equal(fleet.pool.view().workers[0]?.capacity_tokens, 16_000)
})

test('a policy that has no use for loads has none asked', async () => {
  const fleet = await rig({ ...CONFIG, policy: 'round_robin' }, member('a'))
  fleet.metrics.set('a', tells(3))
  await fleet.clock.advance(5000)
  assert.equal(loadOf(fleet, 'a'), null)
  assert.equal((await planOf(fleet.pool.pick(ask({ stream: false })))).asksLoad, undefined)
})

test('a worker tells its load with an answer that does not stream, at most twice a second', async () => {
  const fleet = await rig(CONFIG, member('a'))
  const asks = async (stream: boolean) => (await planOf(fleet.pool.pick(ask({ stream })))).asksLoad === true
  assert.deepEqual([await asks(true), await asks(false), await asks(false)], [false, true, false])
  await fleet.clock.advance(499)
  assert.equal(await asks(false), false)
  await fleet.clock.advance(1)
  assert.equal(await asks(false), true)
})

test('nobody is asked for reports where they are switched off, nor who makes none', async () => {
  const off = await rig({ ...CONFIG, orca: false }, member('a'))
  assert.equal((await planOf(off.pool.pick(ask({ stream: false })))).asksLoad, undefined)
  const ref = { id: 'b', url: 'http://b', engine: 'sglang' }
  const other = await rig(CONFIG, member('b', { ref }))
  assert.equal((await planOf(other.pool.pick(ask({ stream: false })))).asksLoad, undefined)
})

test('a report with an answer counts, and leaves what it does not tell as it was', async () => {
  const fleet = await rig(CONFIG, member('a'))
  fleet.metrics.set('a', tells(3, 0, 0.1))
  await fleet.clock.advance(100)
  const call = ask({ stream: false })
  await planOf(fleet.pool.pick(call))
  fleet.pool.settle(call.id, { kind: 'done', status: 200, load: { waiting: 7, kvUsage: 0.5 } })
  const { running, waiting, kv_usage, used_tokens, age_ms } = loadOf(fleet, 'a') ?? assert.fail()
  assert.deepEqual([running, waiting, kv_usage, used_tokens, age_ms], [3, 7, 0.5, 8000, 0])
})

test('a report with the head of a stream counts from its first token on', async () => {
  const fleet = await rig(CONFIG, member('a'))
  const call = ask()
  await planOf(fleet.pool.pick(call))
  fleet.pool.note([{ id: call.id, kind: 'first', after: 5, load: { waiting: 2 } }])
  assert.equal(loadOf(fleet, 'a')?.waiting, 2)
  assert.equal(loadOf(fleet, 'a')?.running, null)
})

test('what a report leaves out is not filled in from a worker that answers no questions any more', async () => {
  const fleet = await rig(CONFIG, member('a'))
  fleet.metrics.set('a', tells(3))
  await fleet.clock.advance(100)
  fleet.metrics.clear()
  await fleet.clock.advance(4000)
  const call = ask({ stream: false })
  await planOf(fleet.pool.pick(call))
  fleet.pool.settle(call.id, { kind: 'done', status: 200, load: { waiting: 1 } })
  assert.deepEqual([loadOf(fleet, 'a')?.running, loadOf(fleet, 'a')?.waiting], [null, 1])
})

test('after a quiet time nothing of what was told counts, and the first call has those that told asked again', async () => {
  const fleet = await rig(CONFIG, member('silent'), member('b'))
  fleet.metrics.set('b', tells(20))
  await fleet.clock.advance(100_000)
  const { silent = 0, b = 0 } = await spread(fleet, 10)
  assert.deepEqual([silent, b], [5, 5])
  await fleet.clock.advance(100)
  assert.equal(loadOf(fleet, 'b')?.running, 20)
})

test('what is asked more rarely counts for longer', async () => {
  const fleet = await rig({ ...CONFIG, loadInterval: '30s' }, member('a'))
  fleet.metrics.set('a', tells(3))
  await fleet.clock.advance(19_000)
  assert.equal(loadOf(fleet, 'a')?.running, 3)
})
