// Times what following KV events costs, and what it holds: `node --expose-gc bench/micro/kv-events.ts`. An event is one block here,
// as SGLang tells them; vLLM tells a whole prompt's blocks in one.
import { encode } from '@msgpack/msgpack'
import { KvEvents } from '../../src/actors/kv-events.ts'
import type { Ask } from '../../src/actors/ask.ts'
import type { Lease } from '../../src/actors/ledger.ts'
import { Seat } from '../../src/actors/seat.ts'
import { PrefixView } from '../../src/actors/view.ts'
import { decodeBatch, type KvBatch } from '../../src/prefix/kv-batch.ts'

const BLOCKS = 100_000
/** Of one prompt. */
const CHAIN = 100
const TOKENS = 16
const SPREAD = 0x9e3779b97f4a7c15n

const hash = (block: number): bigint => BigInt.asUintN(64, BigInt(block + 1) * SPREAD)
const gc = (globalThis as { gc?: () => void }).gc ?? (() => {})

/** The events of one prompt's blocks: one a block, or one for all of them. */
function events(prompt: number, isWhole: boolean): unknown[] {
  const first = prompt * CHAIN
  const step = isWhole ? CHAIN : 1
  return Array.from({ length: CHAIN / step }, (_, i) => ({
    type: 'BlockStored',
    block_hashes: Array.from({ length: step }, (_block, j) => hash(first + i * step + j)),
    parent_block_hash: i === 0 ? null : hash(first + i * step - 1),
    token_ids: Array.from({ length: TOKENS * step }, (_token, j) => (j * 7919) % 150_000),
    block_size: TOKENS,
    lora_id: null,
    medium: 'GPU',
    session_id: `d-${prompt}`,
  }))
}

function seatOf(id: string): Seat {
  return new Seat({
    ref: { id, url: `http://${id}`, engine: 'vllm' },
    role: 'mixed',
    weight: 1,
    models: ['m'],
    draining: false,
    maxInFlight: null,
    kvCapacityTokens: BLOCKS * TOKENS * 2,
  })
}

const PROMPTS = BLOCKS / CHAIN
const seams = { now: () => performance.now(), random: () => 0, timer: () => () => {}, log: () => {} }

for (const isWhole of [false, true]) {
  const packed = Array.from({ length: PROMPTS }, (_, prompt) =>
    encode([1e9, events(prompt, isWhole), 0], { useBigInt64: true }),
  )
  const size = packed.reduce((sum, { length }) => sum + length, 0)
  const view = new PrefixView(64 * 2 ** 20, 30_000)
  const kv = new KvEvents(seams, view)
  const seat = seatOf('w')
  view.join('w', 2 ** 40)
  kv.push(seat, { rank: 0, events: [] }, null)
  decodeBatch(packed[0] as Uint8Array)
  gc()
  const before = process.memoryUsage().heapUsed
  let decoding = 0
  let following = 0
  for (const [prompt, bytes] of packed.entries()) {
    const ask = {
      id: `d-${prompt}`,
      prefix: pathOf(prompt),
      promptBytes: CHAIN * TOKENS * 4,
    } as unknown as Ask
    const lease = { ask, seat, tokens: CHAIN * TOKENS } as unknown as Lease
    kv.opened(lease)
    const startedAt = performance.now()
    const batch: KvBatch = decodeBatch(bytes)
    const decodedAt = performance.now()
    kv.push(seat, batch, null)
    const usage = { promptTokens: CHAIN * TOKENS, cachedTokens: 0, completionTokens: 1, estimated: false }
    kv.ended(lease, { kind: 'done', status: 200, usage })
    following += performance.now() - decodedAt
    decoding += decodedAt - startedAt
  }
  gc()
  const heap = process.memoryUsage().heapUsed - before
  const micro = (ms: number) => ((ms * 1000) / BLOCKS).toFixed(2)
  console.log(
    `${isWhole ? `${CHAIN} blocks an event` : 'a block an event'}: ${(size / BLOCKS).toFixed(0)} bytes, decoding ${micro(decoding)} µs, following and attributing ${micro(following)} µs a block; ${(heap / 2 ** 20).toFixed(1)} MiB for ${kv.size} blocks of ${PROMPTS} prompts`,
  )
}

/** 256 bytes a block of text: four blocks of the cache. */
function pathOf(prompt: number): Float64Array {
  return Float64Array.from({ length: CHAIN / 4 }, (_, i) => prompt * 1000 + i + 1)
}
