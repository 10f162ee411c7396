// Carries out a plan: how is written in the plan, so that prefill/decode is one more executor and not a second router.
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Plan } from '../actors/ask.ts'
import { single } from './single.ts'
import type { Attempted } from './attempted.ts'

export function execute(
  core: Core,
  admitted: Admitted,
  plan: Plan,
  abort: AbortController,
): Promise<Attempted> {
  return single(core, admitted, plan, abort)
}
