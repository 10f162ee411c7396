import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Ask } from '../../src/actors/ask.ts'
import { KvEvents } from '../../src/actors/kv-events.ts'
import type { Lease } from '../../src/actors/ledger.ts'
import type { Member } from '../../src/actors/members.ts'
import { Seat } from '../../src/actors/seat.ts'
import { PrefixView } from '../../src/actors/view.ts'
import type { KvBatch } from '../../src/prefix/kv-batch.ts'
import { parseBatch } from '../../src/prefix/kv-batch.ts'
import { tierId, tierOf, type KvTier } from '../../src/prefix/kv-tiers.ts'

/** Four blocks of text of 256 bytes, and of the cache eight of 32 tokens (4 bytes each): two of those to one of text. */
const PATH = Float64Array.of(11, 12, 13, 14)
const HASHES = [1, 2, 3, 4, 5, 6, 7, 8]
const ID = 'd-1'

/** A worker that has computed the prompt, and what it tells after that. */
function open(hasTiers: boolean, blockSize: number | null = 32) {
  const view = new PrefixView(2 ** 24, 30_000)
  const seams = { now: () => 0, random: () => 0, timer: () => () => {}, log: () => {} }
  const events = new KvEvents(seams, view, undefined, { hasTiers, blockTokens: 32 })
  const seat = new Seat({
    ref: { id: 'w', url: 'http://w', engine: 'vllm' },
    models: null,
  } as unknown as Member)
  view.join('w', 2 ** 20)
  const push = (...batch: object[]): void => {
    const told: KvBatch = parseBatch(JSON.stringify({ events: batch }))
    assert.equal(events.push(seat, told, null).kind, 'taken')
  }
  const ask = { id: ID, prefix: PATH, promptBytes: 1028 } as Ask
  // Who publishes is known from the first batch on.
  push({ type: 'BlockRemoved', block_hashes: [99] })
  events.opened({ ask, seat, tokens: 257 } as Lease)
  const size = blockSize === null ? {} : { block_size: blockSize }
  push({ type: 'BlockStored', block_hashes: HASHES, parent_block_hash: null, session_id: ID, ...size })
  const usage = { promptTokens: 257, cachedTokens: 0, completionTokens: 1, estimated: false }
  events.ended({ ask, seat, tokens: 257 } as Lease, { kind: 'done', status: 200, usage })
  const held = (tier: KvTier | null): number => {
    view.look(PATH)
    return view.matchOf(tier === null ? 'w' : tierId('w', tier))
  }
  const stored = (medium: string, hashes = HASHES) =>
    push({ type: 'BlockStored', block_hashes: hashes, parent_block_hash: null, block_size: 32, medium })
  const removed = (medium: string, hashes = HASHES) =>
    push({ type: 'BlockRemoved', block_hashes: hashes, medium })
  return { view, events, held, stored, removed }
}

describe('KV blocks outside of GPU memory', () => {
  it('stay known when the GPU has dropped them, in their tier and in all that are farther', () => {
    const { held, stored, removed, view } = open(true)
    assert.equal(held(null), 1024)
    stored('CPU')
    removed('GPU')
    assert.deepEqual(
      [null, 'host', 'external', 'disk'].map((tier) => held(tier as KvTier)),
      [0, 1024, 1024, 1024],
    )
    assert.equal(view.bestBytes, 0, 'what is not on a GPU is no measure for others')
  })

  it('count with those on the GPU as one prompt, as far as they go on from there', () => {
    const { held, stored, removed } = open(true)
    stored('DISK', [5, 6])
    removed('GPU', [5, 6, 7, 8])
    assert.deepEqual(
      [null, 'host', 'external', 'disk'].map((tier) => held(tier as KvTier)),
      [512, 512, 512, 768],
    )
  })

  it('are forgotten when they are dropped there, too', () => {
    const { held, stored, removed } = open(true)
    stored('CPU')
    removed('GPU')
    removed('CPU', [3, 4, 5, 6, 7, 8])
    assert.equal(held('host'), 256)
    removed('CPU')
    assert.equal(held('host'), 0)
  })

  it('are not followed where no policy counts them', () => {
    const { held, stored } = open(false)
    stored('CPU')
    assert.equal(held('host'), 0)
  })

  it('have the configured length where events tell none', () => {
    assert.equal(open(true, null).held(null), 1024)
  })
})

for (const [medium, tier] of [
  ['CPU', 'host'],
  ['CPU_PINNED', 'host'],
  ['DISK', 'disk'],
  ['LMCACHE', 'external'],
] as const)
  it(`${medium} is ${tier}`, () => assert.equal(tierOf(medium), tier))
