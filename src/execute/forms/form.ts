// What a way of handing KV over asks of the two legs of a pair, in terms that an executor needs.
import type { PairPlan } from '../../actors/ask.ts'
import type { Admitted } from '../../admission/admit.ts'
import type { Core } from '../../core.ts'
import type { HeaderList } from '../../host.ts'
import type { Edit } from '../../openai/spans.ts'

/** What a form is made from. */
export interface Occasion {
  readonly core: Core
  readonly admitted: Admitted
  readonly plan: PairPlan
}

/** How one call is handed over, prefill first. */
export interface Form {
  /** Names of the call in both legs' headers. */
  readonly ids: HeaderList
  /** Made to the body of the prefill leg. */
  readonly prefill: readonly Edit[]
  /** Made to the body of the decode leg, by the whole answer of the prefill leg. Throws when that can't be handed on. */
  decode(answer: Uint8Array): readonly Edit[]
  /** Introduces the engines to each other. Rejects with `UpstreamFailure`, which names the leg. */
  before?(): Promise<void>
  /** The prefill leg answered and nobody will take its KV. */
  lost?(): void
}
