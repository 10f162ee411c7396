// What LMCache's workers tell a controller: MessagePack maps with their type. As of LMCache 0.3.11.
import { decodeMsgpack } from '../../msgpack.ts'

/** Where a worker is. */
interface Worker {
  /** Name of the engine's LMCache. */
  readonly instance: string
  /** Of its tensor-parallel ranks. */
  readonly worker: number
}

export type LmcacheMessage =
  | (Worker & { readonly kind: 'register' | 'heartbeat'; readonly ip: string; readonly port: number })
  | (Worker & { readonly kind: 'leave' })
  /** Chunks came into a cache, or went. */
  | (Worker & {
      readonly kind: 'changes'
      readonly location: string
      readonly changes: readonly Change[]
    })
  /** A worker asks who has these chunks. */
  | (Worker & { readonly kind: 'lookup'; readonly keys: readonly bigint[] })

export interface Change {
  readonly isAdmitted: boolean
  readonly key: bigint
}

const LIMITS = { bytes: 64 * 1024, items: 1_000_000, keys: 64 }

/** Reads a message; null: it is none of these. */
export function readMessage(bytes: Uint8Array): LmcacheMessage | null {
  let fields: Readonly<Record<string, unknown>>
  try {
    fields = decodeMsgpack(bytes, LIMITS) as typeof fields
  } catch {
    return null // no MessagePack
  }
  if (typeof fields !== 'object' || fields === null) return null
  const { type, instance_id: instance, worker_id: worker } = fields
  if (typeof instance !== 'string' || typeof worker !== 'number') return null
  const who = { instance, worker }
  switch (type) {
    case 'RegisterMsg':
    case 'HeartbeatMsg':
      return registration(type === 'RegisterMsg' ? 'register' : 'heartbeat', who, fields)
    case 'DeRegisterMsg':
      return { kind: 'leave', ...who }
    case 'KVAdmitMsg':
    case 'KVEvictMsg':
      return changed(who, fields, [
        { op_type: type === 'KVAdmitMsg' ? 'admit' : 'evict', key: fields['key'] },
      ])
    case 'BatchedKVOperationMsg':
      return changed(who, fields, fields['operations'])
    case 'BatchedP2PLookupMsg':
      return { kind: 'lookup', ...who, keys: keysOf(fields['hashes']) }
    default:
      return null
  }
}

function registration(
  kind: 'register' | 'heartbeat',
  who: Worker,
  { ip, port }: Readonly<Record<string, unknown>>,
): LmcacheMessage | null {
  return typeof ip === 'string' && typeof port === 'number' ? { kind, ...who, ip, port } : null
}

function changed(
  who: Worker,
  { location }: Readonly<Record<string, unknown>>,
  operations: unknown,
): LmcacheMessage | null {
  if (typeof location !== 'string' || !Array.isArray(operations)) return null
  const changes = (operations as readonly Readonly<Record<string, unknown>>[]).flatMap((one) => {
    const key = integerOf(one?.['key'])
    const isKnown = one?.['op_type'] === 'admit' || one?.['op_type'] === 'evict'
    return key === null || !isKnown ? [] : [{ key, isAdmitted: one['op_type'] === 'admit' }]
  })
  return { kind: 'changes', ...who, location, changes }
}

const keysOf = (list: unknown): bigint[] =>
  Array.isArray(list) ? list.flatMap((one: unknown) => integerOf(one) ?? []) : []

/** A key is 64 bits wide; with a sign, as Python has it. */
function integerOf(value: unknown): bigint | null {
  if (typeof value === 'bigint') return BigInt.asIntN(64, value)
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : null
}
