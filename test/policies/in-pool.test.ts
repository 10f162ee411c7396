// Policies with memory inside a real pool: what joins, leaves, fails and is configured anew.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { ask, member, planOf, rig, type Rig } from '../actors/_pool.ts'

/** Where a call goes; it ends at once. */
async function goes({ pool }: Rig, change: Parameters<typeof ask>[0]): Promise<string> {
  const call = ask(change)
  const { worker } = await planOf(pool.pick(call))
  pool.settle(call.id, { kind: 'done', status: 200 })
  return worker.id
}

for (const policy of ['manual', 'sticky_least_loaded']) {
  test(`${policy}: a session that came while there was one worker stays there when others join`, async () => {
    const r = await rig({ policy }, member('a'))
    const sessions = Array.from({ length: 20 }, (_, i) => `s ${i}`)
    for (const session of sessions) assert.equal(await goes(r, { session }), 'a')
    await r.join(member('a'), member('b'), member('c'))
    for (const session of sessions) assert.equal(await goes(r, { session }), 'a')
    await r.join(member('b'), member('c'))
    const moved = await Promise.all(sessions.map((session) => goes(r, { session })))
    assert.ok(!moved.includes('a'))
    for (const [i, session] of sessions.entries()) assert.equal(await goes(r, { session }), moved[i])
  })

  test(`${policy}: a reload that leaves its options alone leaves its sessions alone`, async () => {
    const r = await rig({ policy }, member('a'))
    await goes(r, { session: 's' })
    await r.join(member('a'), member('b'))
    for (let i = 0; i < 5; i++) await goes(r, { session: `other ${i}` })
    const changed: ConfigInput = { policy, queueSize: 7 }
    r.pool.configure(configSchema.parse(changed))
    assert.equal(await goes(r, { session: 's' }), 'a')
  })
}

test('manual: a session whose worker failed is served by another, and returns when that one is well', async () => {
  const r = await rig({ policy: 'manual' }, member('a'), member('b'))
  const home = await goes(r, { session: 's' })
  const call = ask({ session: 's' })
  assert.equal((await planOf(r.pool.pick(call))).worker.id, home)
  const again = await planOf(r.pool.repick({ kind: 'status', status: 503 }, call))
  assert.notEqual(again.worker.id, home)
  r.pool.settle(call.id, { kind: 'done', status: 200 })
  assert.notEqual(await goes(r, { session: 's' }), home)
  await r.clock.advance(60_000)
  assert.equal(await goes(r, { session: 's' }), home)
})

test('production_stack_roundrobin: each data-parallel rank of a server has its turn', async () => {
  const ranks = ['a', 'b'].flatMap((name) =>
    [0, 1].map((rank) => {
      const { ref, ...rest } = member(name)
      return { ...rest, ref: { ...ref, id: `${name}.${rank}`, rank, ranks: 2 } }
    }),
  )
  const r = await rig({ policy: 'production_stack_roundrobin' }, ...ranks.toReversed())
  const went: string[] = []
  for (let i = 0; i < 5; i++) went.push(await goes(r, {}))
  assert.deepEqual(went, ['a.0', 'a.1', 'b.0', 'b.1', 'a.0'])
})

const long = (topic: number) => Float64Array.from({ length: 12 }, (_, block) => topic * 100 + block + 1)
const prompt = (topic: number) => ({ prefix: long(topic), promptBytes: 12 * 256, tokens: 768 })

for (const policy of [
  'cache_aware',
  'kv_aware',
  'dlrouter_prefix_cache',
  'production_stack_prefixaware',
  'prefix_hash',
])
  test(`${policy}: a prompt that came before goes where it went, in the pool's own tree`, async () => {
    const r = await rig({ policy }, member('a'), member('b'), member('c'))
    const homes: string[] = []
    for (let topic = 1; topic <= 12; topic++) homes.push(await goes(r, prompt(topic)))
    for (let topic = 1; topic <= 12; topic++) assert.equal(await goes(r, prompt(topic)), homes[topic - 1])
    if (policy !== 'production_stack_prefixaware') assert.equal(new Set(homes).size, 3)
  })
