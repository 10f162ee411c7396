// Workers that tell of themselves: where their heartbeats come in, how long one lasts, and what it must carry.
import * as z from './form.ts'
import { whole } from './kinds.ts'
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
  heartbeatListen: z.optional(endpoint),
  heartbeatTimeout: duration('5s'),
  heartbeatModels: z.prefault(z.array(z.string().check(z.minLength(1))), []),
  heartbeatToken: z.optional(z.string().check(z.minLength(1))),
}
