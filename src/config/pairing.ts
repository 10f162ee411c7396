// The options of prefill/decode disaggregation: how a pair is chosen, and how its two workers hand KV over.
import * as z from './form.ts'
import { policies } from '../policies/policy.ts'
import { count, flag } from './kinds.ts'
import { duration } from './units.ts'

/**
 * How KV gets from a prefill to a decode worker: SGLang's bootstrap rooms; vLLM's connectors NIXL, P2P/NCCL, Mooncake and MoRI-IO;
 * NIXL and P2P/NCCL at once; LMDeploy's DistServe; nothing in the request (a store that both share, as LMCache); NIXL with the host of
 * the prefill URL.
 */
export const PROTOCOLS = [
  'sglang',
  'nixl',
  'nixl_p2p',
  'p2p',
  'mooncake',
  'moriio',
  'distserve',
  'plain',
  'orchestrated',
] as const
export type PdProtocol = (typeof PROTOCOLS)[number]

const policyNames = policies.map((policy) => policy.name) as [string, ...string[]]

export const pairing = {
  prefillPolicy: z.optional(z.enum(policyNames)),
  decodePolicy: z.optional(z.enum(policyNames)),
  pdProtocol: z.optional(z.enum(PROTOCOLS)),
  prefillTimeout: duration('300s'),
  pdSkipBelow: count(0),
  pdStandIn: flag(true),
  migrationProtocol: z.prefault(z.enum(['TCP', 'RDMA', 'NVLINK']), 'RDMA'),
  linkType: z.prefault(z.enum(['RoCE', 'IB']), 'RoCE'),
  withGdr: flag(true),
  dummyPrefill: flag(false),
}
