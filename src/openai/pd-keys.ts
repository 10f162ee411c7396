// Keys by which engines hand KV over. They are the router's to set: what a client sends there is taken out on every path.
import { bitsOf } from './key-bits.ts'
import type { TopLevel } from './scan.ts'
import type { Edit } from './spans.ts'

const PD_KEYS = [
  'bootstrap_host',
  'bootstrap_port',
  'bootstrap_room',
  'bootstrap_pair_key',
  'disagg_prefill_dp_rank',
  'kv_transfer_params',
  'migration_request',
  'with_cache',
  'preserve_cache',
]

const BITS = bitsOf(PD_KEYS)
const NONE: readonly Edit[] = []

/** Edits that take a client's hand-over keys out; none where it sent none. */
export function withoutPdKeys(top: TopLevel): readonly Edit[] {
  if (!top.mayHave(BITS) || !PD_KEYS.some((key) => top.has(key))) return NONE
  return PD_KEYS.filter((key) => top.has(key)).map((key) => ({ kind: 'delete', key }))
}
