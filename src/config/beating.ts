// Workers that tell of themselves: where their heartbeats come in, how long one lasts, and what it must carry.
import * as z from './form.ts'
import { about, whole } from './kinds.ts'
import { duration } from './units.ts'
import { parseEndpoint } from '../zmtp/address.ts'

const endpoint = z.string().check(
  z.refine((text: string) => {
    try {
      return parseEndpoint(text).port >= 0
    } catch {
      return false
    }
  }, 'expected tcp://HOST:PORT, e.g. tcp://0.0.0.0:30001'),
)

/** What vLLM's MoRI-IO connector tells of itself. */
export const transfer = z.strictObject({
  mode: z.prefault(z.enum(['READ', 'WRITE']), 'READ'),
  tpSize: z.prefault(whole(1), 1),
  dpSize: z.prefault(whole(1), 1),
})

export const beating = {
  heartbeatListen: about(
    z.optional(endpoint),
    'tcp://HOST:PORT where workers register over ZeroMQ, as vLLM with P2P/NCCL and MoRI-IO does; none: by HTTP alone',
  ),
  heartbeatTimeout: about(
    duration('5s'),
    'a worker that registered leaves after so long without a heartbeat',
  ),
  heartbeatModels: about(
    z.prefault(z.array(z.string().check(z.minLength(1))), []),
    'models of workers that register and name none; none: they are asked',
  ),
  heartbeatToken: about(
    z.optional(z.string().check(z.minLength(1))),
    'what each heartbeat must carry; none: whoever reaches heartbeatListen may register',
  ),
}
