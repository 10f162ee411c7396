// What a pool learns of prompts, caches and speeds, and how least_cost then sends calls.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ask, Outcome, Usage } from '../../src/actors/ask.ts'
import { ask, member, planOf, rig, type Rig } from './_pool.ts'

const options = { policy: 'least_cost', healthInterval: 'off' } as const
/** A prompt of 40 blocks of 256 bytes, some 2,560 tokens; those of one family share their first `shared` blocks. */
function prompt(family: number, own = 0, shared = 40): Partial<Ask> {
  const prefix = Float64Array.from(
    { length: 40 },
    (_, i) => family * 1e6 + (i < shared ? 0 : own * 1e3) + i + 1,
  )
  return { prefix, promptBytes: 40 * 256 + 10 }
}
const usage = (change: Partial<Usage> = {}): Usage => ({
  promptTokens: 2563,
  cachedTokens: null,
  completionTokens: 10,
  estimated: false,
  ...change,
})
const doneWith = (change: Partial<Usage>): Outcome => ({ kind: 'done', status: 200, usage: usage(change) })

async function send({ pool }: Pick<Rig, 'pool'>, change: Partial<Ask>) {
  const one = ask(change)
  const { worker } = await planOf(pool.pick(one))
  return { id: one.id, worker: worker.id, ask: one }
}
/** Sends a call that is answered at once. */
async function serve(made: Rig, change: Partial<Ask>, told: Partial<Usage> = {}): Promise<string> {
  const { id, worker } = await send(made, change)
  made.pool.settle(id, doneWith(told))
  return worker
}
/** Blocks of 64 tokens that a worker is believed to hold. */
const blocksOf = (made: Rig, id: string) => Math.round(seatOf(made, id).index_tokens / 64)
const seatOf = ({ pool }: Rig, id: string) => {
  const seat = pool.view().workers.find((one) => one.id === id)
  assert.ok(seat)
  return seat
}

test('a prompt goes back to the worker that has it, and so does what goes on from it', async () => {
  const made = await rig(options, member('a'), member('b'), member('c'))
  const homes = new Map<number, string>()
  for (let family = 1; family <= 9; family++) homes.set(family, await serve(made, prompt(family)))
  assert.ok(new Set(homes.values()).size > 1)
  for (const [family, home] of homes) {
    assert.equal(await serve(made, prompt(family)), home)
    assert.equal(await serve(made, prompt(family, 5, 30)), home)
  }
})

test('load beats affinity when the holder has more to read than is saved', async () => {
  const made = await rig(options, member('a'), member('b'))
  const home = await serve(made, prompt(1))
  await send(made, { ...prompt(10), pin: home })
  assert.equal((await send(made, prompt(1, 1, 30))).worker, home)
  for (let i = 0; i < 4; i++) await send(made, { ...prompt(20 + i), pin: home })
  assert.notEqual((await send(made, prompt(1, 2, 30))).worker, home)
})

test('the backlog counts what is not cached, and falls at the first token', async () => {
  const made = await rig(options, member('a'))
  const first = await send(made, prompt(1))
  assert.equal(seatOf(made, 'a').backlog_tokens, 2563)
  const second = await send(made, prompt(1))
  assert.equal(seatOf(made, 'a').backlog_tokens, 2563 + 3)
  made.pool.note([{ id: first.id, kind: 'first', after: 100 }])
  assert.equal(seatOf(made, 'a').backlog_tokens, 3)
  made.pool.settle(second.id, doneWith({}))
  assert.equal(seatOf(made, 'a').backlog_tokens, 0)
})

test('the backlog of an answer without a first token falls when it should have been read, and teaches no speed', async () => {
  const made = await rig({ ...options, prefillSpeed: 2563 }, member('a'))
  await send(made, { ...prompt(1), stream: false })
  const later = await send(made, { ...prompt(2), stream: false })
  await made.clock.advance(1001)
  await send(made, prompt(3))
  assert.equal(seatOf(made, 'a').backlog_tokens, 2 * 2563)
  await made.clock.advance(1000)
  await send(made, prompt(4))
  assert.equal(seatOf(made, 'a').backlog_tokens, 2 * 2563)
  made.pool.settle(later.id, doneWith({}))
  assert.equal(seatOf(made, 'a').backlog_tokens, 2 * 2563)
  assert.equal(seatOf(made, 'a').speed, 2563)
})

test('a worker that had less than was believed loses what it lacked, and has the prompt itself now', async () => {
  const made = await rig(options, member('a'))
  await serve(made, prompt(1), { cachedTokens: 100 })
  await serve(made, prompt(1, 1, 30), { cachedTokens: 1900 })
  const before = blocksOf(made, 'a')
  assert.equal(before, 40 + 10)
  // Eight blocks of it are cached: the rest of the other prompt is gone, too.
  await serve(made, prompt(1), { cachedTokens: 8 * 64 })
  assert.equal(blocksOf(made, 'a'), 40)
})

test('an engine that never told of cached tokens corrects nothing by its silence', async () => {
  const made = await rig(options, member('a'))
  await serve(made, prompt(1))
  await serve(made, prompt(1, 1, 30))
  await serve(made, prompt(1))
  assert.equal(blocksOf(made, 'a'), 40 + 10)
})

test('an engine that tells that nothing was cached is believed from its first word on', async () => {
  const made = await rig(options, member('a'))
  await serve(made, prompt(1))
  await serve(made, prompt(1, 1, 30), { cachedTokens: 0 })
  assert.equal(blocksOf(made, 'a'), 40)
  const { cached_tokens: told, prediction_error_tokens: error } = seatOf(made, 'a')
  assert.equal(told, 0)
  assert.ok(error > 1500)
})

test('an estimate of the router itself corrects nothing', async () => {
  const made = await rig(options, member('a'))
  await serve(made, prompt(1), { cachedTokens: 100 })
  await serve(made, prompt(1, 1, 30), { cachedTokens: 1900 })
  await serve(made, prompt(1), { estimated: true })
  assert.equal(blocksOf(made, 'a'), 40 + 10)
})

test('a worker that failed before it answered is not believed to hold the prompt', async () => {
  const made = await rig(options, member('a'), member('b'))
  const { ask: one, worker } = await send(made, prompt(1))
  await planOf(made.pool.repick({ kind: 'reset' }, one))
  assert.equal(blocksOf(made, worker), 0)
  assert.equal(blocksOf(made, worker === 'a' ? 'b' : 'a'), 40)
})

test('a worker that died and came back holds nothing, and one that left frees its share', async () => {
  const made = await rig({ ...options, healthInterval: '10s', healthFailures: 1 }, member('a'), member('b'))
  for (let family = 1; family <= 9; family++) await serve(made, prompt(family))
  const full = made.pool.view().index_bytes
  assert.ok(blocksOf(made, 'a') > 0)
  const others = blocksOf(made, 'b')
  made.health.set('a', 'refused')
  await made.clock.advance(10_001)
  assert.equal(seatOf(made, 'a').state, 'down')
  made.health.set('a', 'up')
  await made.clock.advance(2000)
  assert.equal(seatOf(made, 'a').state, 'up')
  assert.equal(blocksOf(made, 'a'), 0)
  assert.equal(blocksOf(made, 'b'), others)
  await made.join(member('a'))
  assert.ok(made.pool.view().index_bytes < full / 2)
})

test('a cache that was emptied through the router is known to be empty', async () => {
  const made = await rig(options, member('a'), member('b'))
  for (let family = 1; family <= 9; family++) await serve(made, prompt(family))
  made.pool.forget('a')
  assert.equal(blocksOf(made, 'a'), 0)
  assert.ok(blocksOf(made, 'b') > 0)
  made.pool.forget(null)
  assert.equal(blocksOf(made, 'b'), 0)
})

test('a hot prefix comes to be on both workers, a rare one stays on one', async () => {
  const homesOf = async (gap: number) => {
    const made = await rig(options, member('a'), member('b'))
    const home = await serve(made, prompt(1))
    // So much is ahead there that going elsewhere pays, unless what it costs the fleet is counted in full.
    await send(made, { ...prompt(10), pin: home })
    await send(made, { ...prompt(11), pin: home })
    const homes = new Set([home])
    for (let i = 0; i < 6; i++) {
      await made.clock.advance(gap)
      homes.add(await serve(made, prompt(1, i, 36)))
    }
    return homes.size
  }
  assert.equal(await homesOf(100), 2)
  assert.equal(await homesOf(120_000), 1)
})

test('a view is bounded by what fits into the cache of its worker', async () => {
  const made = await rig(options, member('a', { kvCapacityTokens: 6400 }))
  for (let family = 1; family <= 9; family++) await serve(made, prompt(family))
  assert.ok(blocksOf(made, 'a') <= 100)
  assert.ok(blocksOf(made, 'a') >= 75)
})

test('what engines count teaches how long tokens are, and so what is ahead and what fits', async () => {
  const made = await rig(options, member('a', { kvCapacityTokens: 6400 }))
  for (let i = 0; i < 40; i++) await serve(made, prompt(1), { promptTokens: 5126 })
  await send(made, prompt(2))
  const { backlog_tokens: tokens, index_tokens: held } = seatOf(made, 'a')
  assert.ok(Math.abs(tokens - 5126) < 100, String(tokens))
  assert.ok(held <= 6400 * 1.05, String(held))
})

test('policies that ask for no prefixes leave the index alone', async () => {
  const made = await rig({ policy: 'least_load', healthInterval: 'off' }, member('a'))
  await serve(made, {})
  assert.equal(blocksOf(made, 'a'), 0)
})

test('a slow worker is found out by its first tokens and gets less', async () => {
  const made = await rig(options, member('a'), member('b'))
  const wait = { a: 500, b: 130 }
  for (let i = 0; i < 60; i++) {
    const { id, worker } = await send(made, { ...prompt(1000 + i), pin: i % 2 ? 'a' : 'b' })
    made.pool.note([{ id, kind: 'first', after: wait[worker as 'a' | 'b'] }])
    made.pool.settle(id, doneWith({}))
  }
  const { a, b } = { a: seatOf(made, 'a').speed, b: seatOf(made, 'b').speed }
  assert.ok(Math.abs(a / (2563 / 0.5) - 1) < 0.05, `a: ${a}`)
  assert.ok(b > 2.5 * a, `b: ${b}`)
  // Cold prompts are left to hashing only where costs are equal: all go to the faster one now.
  for (let i = 0; i < 8; i++) assert.equal(await serve(made, prompt(5000 + i)), 'b')
})

test('the KV cache that fills up sends calls elsewhere', async () => {
  const room = { kvCapacityTokens: 8000 }
  const made = await rig({ ...options, costBeta: 'off' }, member('a', room), member('b', room))
  const home = await serve(made, prompt(1))
  for (let i = 0; i < 3; i++) {
    const { id } = await send(made, { ...prompt(10 + i), pin: home })
    made.pool.note([{ id, kind: 'first', after: 1 }])
  }
  assert.ok(seatOf(made, home).held_tokens >= 3 * 2563)
  assert.notEqual((await send(made, prompt(1))).worker, home)
})

test('an adapter goes on where it was used of late, as long as costs are about equal', async () => {
  const names = { models: ['m', 'x', 'y'], adapters: ['x', 'y'] }
  const made = await rig(options, member('a', names), member('b', names))
  const homes = new Map<string, string>()
  for (const model of ['x', 'y']) homes.set(model, await serve(made, { ...prompt(1), model }))
  for (let i = 0; i < 8; i++)
    for (const [model, home] of homes) assert.equal(await serve(made, { ...prompt(100 + i), model }), home)
  const bases = new Set<string>()
  for (let i = 0; i < 8; i++) bases.add(await serve(made, prompt(200 + i)))
  assert.equal(bases.size, 2)
})

test('a worker that joins later begins slowly, one that was there from the beginning does not', async () => {
  const made = await rig(options, member('a'), member('b'))
  await made.clock.advance(1000)
  await made.join(member('a'), member('b'), member('c'))
  for (let i = 0; i < 12; i++) assert.notEqual(await serve(made, prompt(i + 1)), 'c')
  await made.clock.advance(10_000)
  const later = new Set<string>()
  for (let i = 0; i < 24; i++) later.add(await serve(made, prompt(100 + i)))
  assert.equal(later.size, 3)
})
