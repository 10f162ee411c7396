import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { encode } from '@msgpack/msgpack'
import type { Lease } from '../../src/actors/ledger.ts'
import { decodeBatch } from '../../src/prefix/kv-batch.ts'
import { seeded } from '../../src/simulator/clock.ts'
import { kvRig, textOf, until, type KvRig, type KvWorkerRig, type Told } from './_kv.ts'

describe('KV events', () => {
  let rig: KvRig
  const random = seeded(7)
  const prompt = (tokens: number) => textOf(tokens + 8, random)
  before(() => void (rig = kvRig()))
  after(() => rig.close())

  /** Prompts of a dozen kinds of beginnings, of which a third fits into 150 blocks; so long that the last token is in no block of the cache. */
  async function visit(worker: KvWorkerRig, count: number, change = {}): Promise<Told[]> {
    const stems = Array.from({ length: 12 }, () => textOf(512, random))
    const told: Told[] = []
    for (let i = 0; i < count; i++) {
      const stem = stems[Math.floor(random() * stems.length)]!
      const shared = stem.slice(0, 256 * (1 + Math.floor(random() * 8)))
      told.push(await worker.call(shared + textOf(8, random), change))
    }
    return told
  }

  /** Exact in whole blocks of text, of 64 tokens here: the cache may have some smaller blocks of its own behind them. */
  function assertExact(told: readonly Told[]): void {
    assert.deepEqual(
      told.map(({ predicted }) => predicted),
      told.map(({ cached }) => cached - (cached % 64)),
    )
    assert.ok(told.filter(({ cached }) => cached > 0).length > told.length / 8, 'some are hits')
  }

  for (const engine of ['vllm', 'sglang'] as const)
    it(`make the view of ${engine} exact, after evictions as well`, async () => {
      const worker = await rig.add({ engine, blocks: 150 })
      assertExact(await visit(worker, 100))
      const { kvEvents } = worker.seat
      assert.ok(kvEvents!.blocks <= 150)
      assert.ok(kvEvents!.events > 300, String(kvEvents!.events))
      assert.equal(kvEvents!.state, 'live')
    })

  it('make it equal to the token where blocks of text and of the cache are as long', async () => {
    const worker = await rig.add({ blocks: 40, blockTokens: 64 })
    const told = await visit(worker, 100)
    assertExact(told)
    assert.ok(told.every(({ predicted, cached }) => predicted === cached))
  })

  it('find the blocks of calls without sessions by their length', async () => {
    const worker = await rig.add({ blocks: 150 })
    assertExact(await visit(worker, 60, { session: null }))
  })

  it('leave calls alone that share a session at once', async () => {
    const worker = await rig.add({ blocks: 150 })
    await Promise.all([1, 2, 3].map(() => worker.call(prompt(64), { session: 'same' })))
    assert.equal(worker.seat.kvEvents?.state, 'live')
    assert.equal(worker.seat.kvEvents?.attributed, 0)
  })

  it('keep conversations apart that begin alike, wherever their beginning ends', async () => {
    const worker = await rig.add({ blocks: 220 })
    // Its end is in the middle of a block, of text and of the cache.
    const system = textOf(300, random).slice(0, -3)
    // Blanks make shorter tokens: what a prompt's tokens have in bytes differs from one to the next.
    const said = () => textOf(20 + Math.floor(random() * 60), random).replace(/(?<=[a-m]{2})[a-e]/g, ' ')
    const talks = Array.from({ length: 8 }, () => system)
    const errors: number[] = []
    for (let i = 0; i < 80; i++) {
      const at = Math.floor(random() * talks.length)
      if (talks[at]!.length > 4000) talks[at] = system
      talks[at] += said()
      const { predicted, cached } = await worker.call(talks[at]!)
      errors.push(cached - predicted)
    }
    // A block of text has 256 bytes here, and those of the cache do not end where it ends.
    assert.ok(Math.min(...errors) > -32, `expected ${-Math.min(...errors)} tokens more than there were`)
    assert.ok(Math.max(...errors) < 200, `missed ${Math.max(...errors)} tokens`)
    assert.ok(errors.reduce((sum, error) => sum + Math.abs(error), 0) / errors.length < 64)
  })

  it('leave calls alone that have several prompts', async () => {
    const worker = await rig.add({})
    await worker.call([prompt(64), prompt(64)] as unknown as string)
    assert.equal(worker.seat.kvEvents?.attributed, 0)
    assert.equal(worker.seat.kvEvents?.blocks, 8)
  })

  it('find the prompt of several answers to it', async () => {
    const worker = await rig.add({})
    const text = prompt(256)
    await worker.call(text, { more: { n: 3, max_tokens: 60, ignore_eos: true } })
    assert.equal(worker.seat.kvEvents?.attributed, 1)
    assert.equal((await worker.call(text)).predicted, 256)
  })

  it('tell that another worker has a prompt which only one was sent', async () => {
    const [one, other] = [await rig.add({}), await rig.add({})]
    const shared = prompt(256)
    await one.call(shared)
    // Somebody else's call, which the router never saw.
    await other.engine.fetch(
      new Request('http://engine/v1/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'm', prompt: shared, max_tokens: 1 }),
      }),
    )
    await other.caughtUp()
    assert.deepEqual(await other.call(shared), { predicted: 256, cached: 256 })
  })

  it('ask again for what was lost on the way', async () => {
    const worker = await rig.add({})
    const first = prompt(256)
    await worker.call(prompt(64))
    worker.publisher.loseNext()
    const lost = worker.publisher.next
    const calling = worker.call(first)
    await until(() => worker.publisher.next > lost, 'the lost batch')
    // The next one shows the gap.
    await Promise.all([calling, worker.call(prompt(64))])
    assert.equal(worker.seat.kvEvents?.gaps, 0)
    assert.equal((await worker.call(first)).predicted, 256)
  })

  it('are a guess, and say so once, when what was lost can not be had again', async () => {
    const worker = await rig.add({}, { replay: false })
    await worker.call(prompt(64))
    worker.publisher.loseNext()
    const other = rig.view.held(worker.seat.id)
    await worker.engine.fetch(post('/v1/completions', { model: 'm', prompt: prompt(64), max_tokens: 1 }))
    await worker.engine.fetch(post('/v1/completions', { model: 'm', prompt: prompt(64), max_tokens: 1 }))
    await until(() => worker.seat.kvEvents?.state === 'degraded', 'degraded')
    const { trouble, gaps } = worker.seat.kvEvents!
    assert.deepEqual([trouble, gaps], ['gap', 1])
    const lines = rig.logged.filter(({ worker: id }) => id === worker.seat.id)
    assert.equal(lines.length, 1)
    assert.match(lines[0]!.message, /KV events are degraded \(1 batches are missing\)/)
    assert.equal(rig.view.held(worker.seat.id), other, 'the guess goes on')
  })

  it('forget all of an engine that begins anew', async () => {
    const worker = await rig.add({})
    const text = prompt(256)
    await worker.call(text)
    assert.equal((await worker.call(text)).cached, 256)
    worker.engine.kill()
    worker.engine.revive()
    await until(() => rig.view.held(worker.seat.id) === 0, 'forgotten')
    assert.equal(worker.seat.kvEvents?.blocks, 0)
    assert.deepEqual(await worker.call(text), { predicted: 0, cached: 0 })
    assert.deepEqual(await worker.call(text), { predicted: 256, cached: 256 })
  })

  it('forget all when a cache is flushed', async () => {
    const worker = await rig.add({})
    const text = prompt(256)
    await worker.call(text)
    await worker.engine.fetch(post('/reset_prefix_cache', {}))
    await worker.caughtUp()
    assert.deepEqual(await worker.call(text), { predicted: 0, cached: 0 })
  })

  it('are followed no more when their worker leaves', async () => {
    const worker = await rig.add({})
    await worker.call(prompt(64))
    rig.events.meet([])
    await until(() => worker.publisher.peers === 0, 'gone')
    assert.equal(rig.events.size, 0)
  })
})

const post = (path: string, body: unknown) =>
  new Request(`http://engine${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

describe('KV events that are pushed', () => {
  const batch = (hash: number) =>
    decodeBatch(
      encode([0, [{ type: 'BlockStored', block_hashes: [hash], block_size: 16, token_ids: [] }], 0]),
    )

  it('count batches, tell of gaps, and notice a sender that begins anew', async () => {
    const rig = kvRig()
    try {
      const { seat } = await rig.add({})
      const { events } = rig
      assert.deepEqual(events.push(undefined, batch(1), 0), { kind: 'unknown' })
      assert.deepEqual(events.push(seat, batch(1), 0), { kind: 'followed' })
      events.meet([])
      const kinds = [0, 1, 1, 5, 6, 0].map((seq) => events.push(seat, batch(seq + 1), seq).kind)
      assert.deepEqual(kinds, ['taken', 'taken', 'seen', 'gap', 'taken', 'restarted'])
      assert.equal(seat.kvEvents?.blocks, 1)
      assert.equal(seat.kvEvents?.gaps, 1)
    } finally {
      rig.close()
    }
  })

  it('hold a text as long as any rank of a worker has its blocks', async () => {
    const rig = kvRig()
    try {
      const { seat } = await rig.add({})
      const { events, view } = rig
      events.meet([])
      const told = (rank: number, event: Record<string, unknown>) =>
        events.push(seat, decodeBatch(encode([0, [{ block_hashes: [1], ...event }], rank])), null)
      const stored = { type: 'BlockStored', block_size: 64, token_ids: [], session_id: 'd-1' }
      told(0, { ...stored, block_hashes: [9], session_id: 'other' })
      const path = Float64Array.of(42)
      const lease = {
        ask: { id: 'd-1', prefix: path, promptBytes: 260 },
        seat,
        tokens: 65,
      } as unknown as Lease
      events.opened(lease)
      for (const rank of [0, 1]) told(rank, stored)
      const usage = { promptTokens: 65, cachedTokens: 0, completionTokens: 1, estimated: false }
      events.ended(lease, { kind: 'done', status: 200, usage })
      assert.equal(view.held(seat.id), 256)
      told(0, { type: 'BlockRemoved' })
      assert.equal(view.held(seat.id), 256)
      told(1, { type: 'BlockRemoved' })
      assert.equal(view.held(seat.id), 0)
    } finally {
      rig.close()
    }
  })

  it('are a guess again where they would outgrow the memory for them', async () => {
    const rig = kvRig(100_000)
    try {
      const { seat } = await rig.add({})
      rig.events.meet([])
      const many = (from: number) => {
        const hashes = Array.from({ length: 300 }, (_, i) => from + i)
        return decodeBatch(encode([0, [{ type: 'BlockStored', block_hashes: hashes, block_size: 16 }], 0]))
      }
      rig.events.push(seat, many(0), 0)
      assert.deepEqual([seat.kvEvents?.state, seat.kvEvents?.blocks], ['live', 300])
      rig.events.push(seat, many(1000), 1)
      assert.deepEqual([seat.kvEvents?.trouble, rig.events.size], ['overflow', 0])
    } finally {
      rig.close()
    }
  })
})
