// What came of one attempt: an answer whose first byte is here, or a failure before that.
import type { Plan } from '../actors/ask.ts'
import type { Deadline } from '../forward/deadline.ts'
import type { Upstream, UpstreamFailure } from '../host.ts'
import type { Partner } from './pair-watch.ts'

/** An answer that has begun; its clocks run until it ends. */
export interface Started {
  readonly kind: 'started'
  readonly plan: Plan
  readonly upstream: Upstream
  readonly deadline: Deadline
  /** Epoch ms at which the request was sent. */
  readonly sentAt: number
  /** Why the router itself broke it off (a deadline); null while it did not. */
  broken(): UpstreamFailure | null
  /** The whole answer, where it had to be read before: nothing more comes from upstream. */
  readonly whole?: Uint8Array
  /** Whose refusal it is, where it is not that of the plan's worker. */
  readonly leg?: 'prefill'
  /** The other half of a pair. */
  readonly partner?: Partner
}

export interface Failed {
  readonly kind: 'failed'
  readonly plan: Plan
  readonly failure: UpstreamFailure
}

export type Attempted = Started | Failed
