// The engines' KV events as plain values: read from MessagePack (as they publish them) or JSON, in either wire form.
import { decodeMsgpack } from '../msgpack.ts'

/** Blocks that can be found from now on: a chain, each the parent of the next. */
export interface BlocksStored {
  readonly kind: 'stored'
  /** 64 bits each, unsigned. */
  readonly hashes: readonly bigint[]
  /** The block before the first; null: a prompt begins here. */
  readonly parent: bigint | null
  /** Tokens of a block; the last may have fewer. 0: not told. */
  readonly blockTokens: number
  /** Tokens of all together. */
  readonly tokens: number
  readonly medium: string
  /** The group of layers, in models with several kinds of attention. */
  readonly group: number | null
  /** Whether all tokens before count for these layers, and not a window of them. */
  readonly isFull: boolean
  /** What the request that made them was called. */
  readonly session: string | null
}

/** Blocks that are no more. */
export interface BlocksRemoved {
  readonly kind: 'removed'
  readonly hashes: readonly bigint[]
  readonly medium: string
  readonly group: number | null
}

export interface BlocksCleared {
  readonly kind: 'cleared'
}

export type KvEvent = BlocksStored | BlocksRemoved | BlocksCleared

/** What an engine publishes at once. Structured-cloneable. */
export interface KvBatch {
  /** Data-parallel rank; null: the only one. */
  readonly rank: number | null
  readonly events: readonly KvEvent[]
}

/** The medium that prompts are computed from. Engines say so on CPUs, too. */
export const GPU = 'GPU'

/** These bytes are no batch of KV events. */
export class KvError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'KvError'
  }
}

/** Bounds that no engine comes near: a batch holds the tokens of one step. */
const LIMITS = { bytes: 65_536, items: 8_388_608, keys: 1024 }

/** Reads a batch in MessagePack. Unknown events, keys and further items are passed over. Throws a `KvError` for what is none. */
export function decodeBatch(bytes: Uint8Array): KvBatch {
  let value: unknown
  try {
    value = decodeMsgpack(bytes, LIMITS)
  } catch (error) {
    throw new KvError(`no MessagePack: ${error instanceof Error ? error.message : String(error)}`)
  }
  return readBatch(value)
}

/**
 * Reads a batch in JSON: `[ts, events, rank]` as on the wire, or `{"events": […], "rank": 0}`. Hashes are numbers, or texts of
 * decimal digits. Throws a `KvError`.
 */
export function parseBatch(text: string): KvBatch {
  // A double would lose the low bits of a hash.
  const exact = text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (part) =>
    part.startsWith('"') ? part : `"${part}"`,
  )
  let value: unknown
  try {
    value = JSON.parse(exact)
  } catch {
    throw new KvError('no JSON')
  }
  return readBatch(value)
}

function readBatch(value: unknown): KvBatch {
  const [events, rank] = Array.isArray(value)
    ? [value[1] as unknown, value[2] as unknown]
    : isFields(value)
      ? [value['events'], value['rank'] ?? value['data_parallel_rank']]
      : []
  if (!Array.isArray(events)) throw new KvError('a batch is [time, events, rank]')
  return { rank: integer(rank), events: events.map(readEvent).filter((event) => event !== null) }
}

/** Null: an event that this version does not know. */
function readEvent(value: unknown): KvEvent | null {
  const fields = Array.isArray(value) ? named(value) : value
  if (!isFields(fields)) throw new KvError('an event is a map with a type, or a list that begins with one')
  switch (fields['type']) {
    case 'BlockStored':
      return readStored(fields)
    case 'BlockRemoved':
      return { kind: 'removed', hashes: hashesOf(fields), medium: mediumOf(fields), group: groupOf(fields) }
    case 'AllBlocksCleared':
      return { kind: 'cleared' }
    default:
      return null
  }
}

/** In older engines an event is a list: its type, and then its fields in this order. */
const POSITIONS: Readonly<Record<string, readonly string[]>> = {
  BlockStored: [
    'block_hashes',
    'parent_block_hash',
    'token_ids',
    'block_size',
    'lora_id',
    'medium',
    'lora_name',
    'extra_keys',
    'group_idx',
    'kv_cache_spec_kind',
    'kv_cache_spec_sliding_window',
    'locality',
    'ownership',
    'session_id',
  ],
  BlockRemoved: ['block_hashes', 'medium', 'group_idx'],
}

function named(items: readonly unknown[]): Record<string, unknown> {
  const [type, ...values] = items
  const fields: Record<string, unknown> = { type }
  for (const [i, name] of (POSITIONS[String(type)] ?? []).entries()) fields[name] = values[i]
  // "No parent" is 0 where there is no null.
  if (fields['parent_block_hash'] === 0) fields['parent_block_hash'] = null
  return fields
}

function readStored(fields: Record<string, unknown>): BlocksStored {
  const hashes = hashesOf(fields)
  const ids = fields['token_ids']
  const size = integer(fields['block_size'])
  const listed = Array.isArray(ids) ? ids.length : 0
  const blockTokens = size ?? Math.ceil(listed / Math.max(1, hashes.length))
  const parent = fields['parent_block_hash'] ?? null
  const kind = fields['kv_cache_spec_kind']
  const session = fields['session_id']
  return {
    kind: 'stored',
    hashes,
    parent: parent === null ? null : hashOf(parent),
    blockTokens,
    tokens: Math.min(listed > 0 ? listed : Infinity, hashes.length * blockTokens),
    medium: mediumOf(fields),
    group: groupOf(fields),
    isFull: typeof kind !== 'string' || kind === 'full_attention',
    session: typeof session === 'string' && session !== '' ? session : null,
  }
}

function hashesOf(fields: Record<string, unknown>): bigint[] {
  const hashes = fields['block_hashes']
  if (!Array.isArray(hashes)) throw new KvError('an event without block_hashes')
  return hashes.map(hashOf)
}

/** Signed or unsigned, or the low 64 bits of a whole digest, which is what engines cut it to themselves. */
function hashOf(value: unknown): bigint {
  if (typeof value === 'bigint') return BigInt.asUintN(64, value)
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt.asUintN(64, BigInt(value))
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return BigInt.asUintN(64, BigInt(value))
  if (value instanceof Uint8Array && value.length > 0) {
    let hash = 0n
    for (const byte of value.subarray(-8)) hash = (hash << 8n) | BigInt(byte)
    return hash
  }
  throw new KvError('a block hash is an integer of 64 bits, or bytes')
}

const mediumOf = (fields: Record<string, unknown>): string => {
  const medium = fields['medium']
  return typeof medium === 'string' && medium !== '' ? medium.toUpperCase() : GPU
}

const groupOf = (fields: Record<string, unknown>): number | null => integer(fields['group_idx'])

function integer(value: unknown): number | null {
  const number = typeof value === 'bigint' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
