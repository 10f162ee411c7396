// One leg after the other: the prefill engine computes the prompt and tells where its KV is, the decode engine fetches it from there.
import type { PairPlan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Stop } from '../forward/stop.ts'
import type { UpstreamFailure } from '../host.ts'
import type { Edit } from '../openai/spans.ts'
import type { Attempted } from './attempted.ts'
import type { Form } from './forms/form.ts'
import type { LegAnswer } from './leg.ts'
import {
  answeredBy,
  failedBy,
  firstByte,
  handedOver,
  isGoodStream,
  mergesIn,
  openPair,
  prefillTime,
  streamedBy,
  type Pair,
} from './pair.ts'
import { Told } from './told.ts'

/** Carries out a pair by a form of hand-over. Never throws. */
export async function twoStage(
  core: Core,
  admitted: Admitted,
  plan: PairPlan,
  { form, abort }: { form: Form; abort: Stop },
): Promise<Attempted> {
  const pair = openPair(core, admitted, plan, abort)
  const { prefill } = pair
  let answer: LegAnswer
  let edits: readonly Edit[]
  try {
    await form.before?.()
    prefill.time(prefillTime(core))
    const upstream = await prefill.send({ ids: form.ids, edits: form.prefill })
    answer = await prefill.whole(upstream)
    prefill.deadline?.stop()
    if (upstream.status >= 400) return answeredBy(pair, prefill, answer)
    edits = form.decode(answer.bytes)
  } catch (error) {
    return lose(pair, form, prefill.blamed(error))
  }
  const told = new Told(answer.bytes, false)
  handedOver(pair, told)
  return decodeFrom(pair, form, { edits, told })
}

/** The decode leg. `told`: null when there was no prefill leg. */
export async function decodeFrom(
  pair: Pair,
  form: Form,
  { edits, told }: { edits: readonly Edit[]; told: Told | null },
): Promise<Attempted> {
  const { core, decode } = pair
  decode.time(core.config.firstTokenTimeout)
  try {
    const upstream = await decode.send({ ids: form.ids, edits })
    if (isGoodStream(upstream)) {
      await firstByte(upstream)
      return streamedBy(pair, upstream, partnerOf(pair, form, told))
    }
    const answer = await decode.whole(upstream)
    const isGood = upstream.status < 400
    if (!isGood) forget(pair, form)
    return answeredBy(pair, decode, {
      upstream,
      bytes: (isGood && told?.merge(answer.bytes)) || answer.bytes,
    })
  } catch (error) {
    return lose(pair, form, decode.blamed(error))
  }
}

function partnerOf({ admitted }: Pair, form: Form, told: Told | null) {
  let hasBegun = false
  return {
    told: () => told,
    merges: told !== null && mergesIn(admitted),
    began: () => {
      hasBegun = true
    },
    over: (isWhole: boolean) => {
      if (!isWhole && !hasBegun) form.lost?.()
    },
  }
}

/** Nothing came of it: what waits on the prefill engine is freed, and who is who is asked anew. */
function lose(pair: Pair, form: Form, failure: UpstreamFailure): Attempted {
  forget(pair, form)
  return failedBy(pair, failure)
}

function forget({ core, plan }: Pair, form: Form): void {
  form.lost?.()
  core.links.forget(plan.prefill.id)
  core.links.forget(plan.worker.id)
}
