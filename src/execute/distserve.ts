// LMDeploy's DistServe: two stages between engines that were introduced to each other, or the decode stage alone (dummy prefill).
import type { PairPlan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Stop } from '../forward/stop.ts'
import type { Attempted } from './attempted.ts'
import { distserve as formOf, dummyMigration } from './forms/migration.ts'
import { handedOver, openPair } from './pair.ts'
import { decodeFrom, twoStage } from './two-stage.ts'

/** Carries out a pair of LMDeploy engines. Never throws. */
export function distserve(core: Core, admitted: Admitted, plan: PairPlan, abort: Stop): Promise<Attempted> {
  const occasion = { core, admitted, plan }
  const form = formOf(occasion)
  if (!core.config.dummyPrefill) return twoStage(core, admitted, plan, { form, abort })
  const pair = openPair(core, admitted, plan, abort)
  pair.prefill.sentAt = pair.startedAt
  handedOver(pair, null)
  return decodeFrom(pair, form, { edits: [dummyMigration(occasion)], told: null })
}
