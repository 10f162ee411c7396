// The options of prefill/decode disaggregation: how a pair is chosen, and how its two workers hand KV over.
import * as z from './form.ts'
import { policies } from '../policies/policy.ts'
import { about, count, flag } from './kinds.ts'
import { duration } from './units.ts'

/**
 * How KV gets from a prefill to a decode worker: SGLang's bootstrap rooms; vLLM's connectors NIXL, P2P/NCCL, Mooncake and MoRI-IO;
 * NIXL and P2P/NCCL at once; LMDeploy's DistServe; nothing in the request (a store that both share, as LMCache); NIXL with the host of the prefill URL.
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
  prefillPolicy: about(z.optional(z.enum(policyNames)), 'how a prefill worker is chosen; none: by policy'),
  decodePolicy: about(z.optional(z.enum(policyNames)), 'how a decode worker is chosen; none: by policy'),
  pdProtocol: about(
    z.optional(z.enum(PROTOCOLS)),
    'how KV is handed over; none: sglang, nixl (vLLM) or distserve (LMDeploy), by the engine',
  ),
  prefillTimeout: about(duration('300s'), 'until the prefill worker has handed over; off: firstTokenTimeout'),
  pdSkipBelow: about(
    count(0),
    'prompt tokens that a decode worker may compute itself: with fewer to compute, prefill is skipped (vLLM alone); 0: never',
  ),
  pdStandIn: about(
    flag(true),
    'mixed workers take calls alone while a role has nobody, and decode workers while there is no prefill worker at all',
  ),
  migrationProtocol: about(
    z.prefault(z.enum(['TCP', 'RDMA', 'NVLINK']), 'RDMA'),
    'LMDeploy: how KV migrates',
  ),
  linkType: about(z.prefault(z.enum(['RoCE', 'IB']), 'RoCE'), 'LMDeploy: the link under RDMA'),
  withGdr: about(flag(true), 'LMDeploy: RDMA straight between GPUs'),
  dummyPrefill: about(flag(false), 'LMDeploy: no prefill at all, to measure decode workers'),
}
