import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { decodeBatch, KvError, parseBatch, type BlocksStored } from '../../src/prefix/kv-batch.ts'
import { Holding, KvBlocks } from '../../src/prefix/kv-blocks.ts'
import { readSequence, Sequence, sequenceBytes } from '../../src/prefix/kv-sequence.ts'

const recording = JSON.parse(
  readFileSync(new URL('../recordings/vllm/kv-events.json', import.meta.url), 'utf8'),
) as { frames: [string, string, string][] }
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const pack = (value: unknown) => encode(value, { useBigInt64: true })
const stored = (bytes: Uint8Array) => decodeBatch(bytes).events[0] as BlocksStored

describe('a batch of KV events', () => {
  it('is read as vLLM 0.32 published it', () => {
    const batches = recording.frames.map(([, seq, payload]) => ({
      seq: readSequence(hex(seq)),
      batch: decodeBatch(hex(payload)),
    }))
    assert.deepEqual(
      batches.map(({ seq }) => seq),
      batches.map((_, i) => 16 + i),
    )
    assert.deepEqual(batches[0]!.batch.events, [
      { kind: 'cleared' },
      { kind: 'cleared' },
      { kind: 'cleared' },
    ])
    assert.deepEqual(batches[5]!.batch.events[0], {
      kind: 'stored',
      hashes: [
        17587203188184430158n,
        9651513188954982021n,
        9201132812145716510n,
        14074517616016117035n,
        16386565835157155077n,
        2666315675108290647n,
        4535308209188746711n,
      ],
      parent: null,
      blockTokens: 32,
      tokens: 224,
      medium: 'GPU',
      group: 0,
      isFull: true,
      session: null,
    })
    assert.equal((batches[6]!.batch.events[0] as BlocksStored).parent, 4535308209188746711n)
  })

  it('leads to chains whose lengths are known from the beginning', () => {
    const blocks = new KvBlocks()
    const holding = new Holding()
    const sequence = new Sequence()
    sequence.last = 15
    for (const [, seq, payload] of recording.frames) {
      assert.equal(sequence.judge(readSequence(hex(seq))!), 'next')
      sequence.last++
      for (const event of decodeBatch(hex(payload)).events)
        if (event.kind === 'stored') blocks.store(holding, event)
    }
    assert.equal(blocks.find(4535308209188746711n)?.end, 224)
    assert.equal(blocks.find(17232658739302417857n)?.end, 224 + 6 * 32)
    // Stored twice, so that it takes two removals.
    const twice = { kind: 'removed', hashes: [8683232667632404035n], medium: 'GPU', group: 0 } as const
    assert.equal(blocks.remove(holding, twice).length, 0)
    assert.equal(blocks.remove(holding, twice).length, 1)
    assert.equal(blocks.remove(holding, twice).length, 0)
    assert.equal(blocks.find(8683232667632404035n), null)
  })

  const maps: Record<string, unknown> = {
    type: 'BlockStored',
    block_hashes: [-1n, 5],
    parent_block_hash: 2n ** 63n,
    token_ids: Array.from({ length: 24 }, (_, i) => i),
    block_size: 16,
    lora_id: null,
    medium: 'GPU',
  }
  const list = ['BlockStored', [-1n, 5], 2n ** 63n, maps['token_ids'], 16, null, 'GPU']
  const expected = {
    kind: 'stored',
    hashes: [2n ** 64n - 1n, 5n],
    parent: 2n ** 63n,
    blockTokens: 16,
    tokens: 24,
    medium: 'GPU',
    group: null,
    isFull: true,
    session: null,
  }
  const forms: [string, Uint8Array][] = [
    ['maps', pack([1.5, [maps], 3])],
    ['lists', pack([1.5, [list], 3])],
    [
      'lists with items of tomorrow',
      pack([1.5, [[...list, null, null, null, null, null, {}, [], null, 'new']], 3, 'more']),
    ],
    [
      'maps with keys of tomorrow',
      pack([1.5, [{ ...maps, planet: { moon: 1 } }, { type: 'BlockDreamt' }], 3]),
    ],
  ]
  for (const [name, bytes] of forms)
    it(`is read from ${name}`, () => {
      const { rank, events } = decodeBatch(bytes)
      assert.equal(rank, 3)
      assert.deepEqual(events, [expected])
    })

  it('tells the group of layers, the session, and the medium', () => {
    const event = stored(
      pack([
        0,
        [{ ...maps, group_idx: 1, kv_cache_spec_kind: 'sliding_window', session_id: 's', medium: 'cpu' }],
      ]),
    )
    assert.deepEqual([event.group, event.isFull, event.session, event.medium], [1, false, 's', 'CPU'])
  })

  it('cuts digests in bytes to their low 64 bits', () => {
    const digest = Uint8Array.from({ length: 32 }, (_, i) => i)
    assert.deepEqual(stored(pack([0, [{ ...maps, block_hashes: [digest] }]])).hashes, [0x18191a1b1c1d1e1fn])
  })

  it('takes 0 for no parent in lists alone', () => {
    assert.equal(stored(pack([0, [['BlockStored', [1], 0, [1], 1]]])).parent, null)
  })

  it('is read from JSON with every bit of its hashes', () => {
    const text =
      '{"rank": 1, "events": [{"type": "BlockStored", "block_hashes": [18446744073709551615, "7"], "parent_block_hash": null, "block_size": 16, "session_id": "a, 12345678901234567890, \\"b"}]}'
    const { rank, events } = parseBatch(text)
    const [event] = events as BlocksStored[]
    assert.equal(rank, 1)
    assert.deepEqual(event!.hashes, [2n ** 64n - 1n, 7n])
    assert.equal(event!.session, 'a, 12345678901234567890, "b')
    assert.equal(event!.tokens, 32)
    assert.deepEqual(parseBatch('[0, [["AllBlocksCleared"]], 2]').events, [{ kind: 'cleared' }])
  })

  for (const [what, bytes] of [
    ['no MessagePack', Uint8Array.of(0xc1)],
    ['half of one', pack([0, [maps]]).slice(0, 20)],
    ['a number', pack(7)],
    ['an event without hashes', pack([0, [{ type: 'BlockRemoved' }]])],
    ['a hash that is none', pack([0, [{ type: 'BlockRemoved', block_hashes: [1.5] }]])],
    ['a list longer than its bytes', Uint8Array.of(0xdd, 0x7f, 0xff, 0xff, 0xff)],
  ] as const)
    it(`is refused when it is ${what}`, () => {
      assert.throws(() => decodeBatch(bytes), KvError)
    })

  it('never breaks on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeBatch(bytes)
        } catch (error) {
          assert.ok(error instanceof KvError, String(error))
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('blocks', () => {
  const event = (hashes: bigint[], change: Partial<BlocksStored> = {}): BlocksStored => ({
    kind: 'stored',
    hashes,
    parent: null,
    blockTokens: 16,
    tokens: 16 * hashes.length,
    medium: 'GPU',
    group: null,
    isFull: true,
    session: null,
    ...change,
  })

  it('count only in the first group of layers with full attention, and on the GPU', () => {
    const blocks = new KvBlocks()
    const holding = new Holding()
    assert.equal(blocks.store(holding, event([1n], { group: 1, isFull: false })).length, 0)
    assert.equal(blocks.store(holding, event([1n], { group: 2 })).length, 1)
    assert.equal(blocks.store(holding, event([1n], { group: 3 })).length, 0)
    assert.equal(blocks.store(holding, event([1n, 2n], { medium: 'CPU' })).length, 0)
    assert.equal(holding.elsewhere.get('CPU'), 2)
    assert.equal(blocks.remove(holding, { kind: 'removed', hashes: [1n], medium: 'GPU', group: 1 }).length, 0)
    assert.equal(blocks.remove(holding, { kind: 'removed', hashes: [1n], medium: 'GPU', group: 2 }).length, 1)
  })

  it('of a chain whose beginning is not known have no place until it is', () => {
    const blocks = new KvBlocks()
    const holding = new Holding()
    const [lost] = blocks.store(holding, event([2n], { parent: 1n }))
    assert.equal(lost!.end, -1)
    blocks.store(holding, event([1n]))
    blocks.store(holding, event([2n], { parent: 1n }))
    assert.equal(lost!.end, 32)
  })

  it('are forgotten with their last holder', () => {
    const blocks = new KvBlocks()
    const [one, other] = [new Holding(), new Holding()]
    blocks.store(one, event([1n, 2n]))
    blocks.store(other, event([1n]))
    blocks.clear(one)
    assert.equal(blocks.size, 1)
    blocks.clear(other)
    assert.equal(blocks.size, 0)
  })

  it('are counted once where an engine repeats itself', () => {
    const blocks = new KvBlocks()
    const holding = new Holding()
    blocks.store(holding, event([1n]))
    blocks.store(holding, event([1n]))
    assert.equal(holding.total, 2)
    blocks.countOnce(holding)
    blocks.store(holding, event([1n]))
    assert.equal(holding.total, 1)
    assert.equal(
      blocks.remove(holding, { kind: 'removed', hashes: [1n], medium: 'GPU', group: null }).length,
      1,
    )
  })
})

describe('numbers of batches', () => {
  const sequence = new Sequence()
  sequence.last = 9
  for (const [seq, isAgain, step] of [
    [10, false, 'next'],
    [12, false, 'gap'],
    [9, false, 'old'],
    [4, true, 'old'],
    [4, false, 'restart'],
    [0, false, 'restart'],
  ] as const)
    it(`${seq} after 9 is ${step}${isAgain ? ' beside a replay' : ''}`, () => {
      assert.equal(sequence.judge(seq, isAgain), step)
    })

  it('are eight bytes, and −1 is the end of a replay', () => {
    assert.deepEqual([...sequenceBytes(258)], [0, 0, 0, 0, 0, 0, 1, 2])
    assert.equal(readSequence(sequenceBytes(2 ** 40 + 1)), 2 ** 40 + 1)
    assert.equal(readSequence(new Uint8Array(8).fill(255)), -1)
    assert.equal(readSequence(new Uint8Array(7)), null)
    assert.equal(readSequence(Uint8Array.of(0x7f, 0, 0, 0, 0, 0, 0, 0)), null)
  })
})
