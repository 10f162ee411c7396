// Carries out a plan: how is written in the plan, so that prefill/decode is one more executor and not a second router.
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Stop } from '../forward/stop.ts'
import type { PairPlan, Plan } from '../actors/ask.ts'
import { Soon } from '../soon.ts'
import type { Attempted } from './attempted.ts'
import { distserve } from './distserve.ts'
import { dual } from './dual.ts'
import type { Form, Occasion } from './forms/form.ts'
import { mooncake, moriio, nixl, nixlP2p, orchestrated, p2p, plain } from './forms/transfer.ts'
import { single } from './single.ts'
import { twoStage } from './two-stage.ts'

const FORMS: Readonly<
  Record<Exclude<PairPlan['protocol'], 'sglang' | 'distserve'>, (occasion: Occasion) => Form>
> = { nixl, nixl_p2p: nixlP2p, orchestrated, plain, p2p, mooncake, moriio }

/** Never fails: what went wrong is a value. `abort` ends the attempt, on both legs of a pair. */
export function execute(core: Core, admitted: Admitted, plan: Plan, abort: Stop): Soon<Attempted> {
  return plan.kind === 'single'
    ? single(core, admitted, plan, abort)
    : Soon.of(executePair(core, admitted, plan, abort))
}

function executePair(core: Core, admitted: Admitted, plan: PairPlan, abort: Stop): Promise<Attempted> {
  if (plan.protocol === 'sglang') return dual(core, admitted, plan, abort)
  if (plan.protocol === 'distserve') return distserve(core, admitted, plan, abort)
  const form = FORMS[plan.protocol]({ core, admitted, plan })
  return twoStage(core, admitted, plan, { form, abort })
}
