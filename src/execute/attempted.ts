// What came of one attempt: an answer whose first byte is here, or a failure before that.
import type { Plan } from '../actors/ask.ts'
import type { Deadline } from '../forward/deadline.ts'
import type { Upstream, UpstreamFailure } from '../host.ts'

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
}

export interface Failed {
  readonly kind: 'failed'
  readonly plan: Plan
  readonly failure: UpstreamFailure
}

export type Attempted = Started | Failed
