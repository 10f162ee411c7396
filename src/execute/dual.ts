// Both legs at once: prefill and decode engine get the same call and meet by themselves (SGLang's bootstrap rooms).
import type { PairPlan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Stop } from '../forward/stop.ts'
import { isEventStream } from '../forward/headers.ts'
import { UpstreamFailure, type Upstream } from '../host.ts'
import type { Attempted, Started } from './attempted.ts'
import { bootstrapEdits } from './forms/bootstrap.ts'
import type { LegAnswer, Sent } from './leg.ts'
import {
  answeredBy,
  failedBy,
  firstByte,
  givenUp,
  handedOver,
  isGoodStream,
  mergesIn,
  openPair,
  prefillTime,
  streamedBy,
  type Pair,
} from './pair.ts'
import { Told } from './told.ts'

/** What came of the prefill leg. */
type Given = { readonly answer: LegAnswer } | { readonly failure: UpstreamFailure }

/** How long the prefill leg may take to tell that it is to blame for a decode leg that failed, ms. */
const BLAME_TIME = 20
/** How long the counts of the prefill engine are waited for when the decode engine is done, ms. */
const COUNTS_TIME = 1000

/** Sends both and returns the decode engine's answer as it comes. Never throws. Either leg's failure ends the other at once. */
export async function dual(core: Core, admitted: Admitted, plan: PairPlan, abort: Stop): Promise<Attempted> {
  const pair = openPair(core, admitted, plan, abort)
  const { call } = admitted
  const top = call.body.kind === 'json' ? call.body.top : null
  const edits = top ? bootstrapEdits(plan.prefill, { shape: call.shape, top }, core.host.random) : []
  return new Dual(pair).run({ ids: call.ids, edits })
}

class Dual {
  readonly #pair: Pair
  #told: Told | null = null
  /** The decode engine has the KV: what becomes of the prefill leg does no harm any more. */
  #isTaken = false

  constructor(pair: Pair) {
    this.#pair = pair
  }

  async run(sent: Sent): Promise<Attempted> {
    const { core, prefill, decode } = this.#pair
    prefill.time(prefillTime(core))
    decode.time(core.config.firstTokenTimeout)
    const giving = this.#give(sent)
    try {
      const upstream = await decode.send(sent)
      if (isGoodStream(upstream)) return await this.#stream(upstream, giving)
      return await this.#whole(await decode.whole(upstream), giving)
    } catch (error) {
      return this.#fail(decode.blamed(error), giving)
    }
  }

  /** The prefill leg. As long as nothing was taken, its failure is that of the decode leg. */
  async #give(sent: Sent): Promise<Given> {
    const { prefill, decode } = this.#pair
    const given = await this.#ask(sent)
    prefill.deadline?.stop()
    if (isBad(given)) {
      if (!this.#isTaken) decode.cut(failureOf(given))
    } else if ('answer' in given) {
      const { upstream, bytes } = given.answer
      this.#told = new Told(bytes, isEventStream(upstream.headers))
      handedOver(this.#pair, this.#told)
    }
    return given
  }

  async #ask(sent: Sent): Promise<Given> {
    const { prefill } = this.#pair
    try {
      const upstream = await prefill.send(sent)
      if (isGoodStream(upstream)) {
        await upstream.first()
        // An engine in this mode says nothing before its KV was taken.
        this.#isTaken = true
      }
      return { answer: await prefill.whole(upstream) }
    } catch (error) {
      return { failure: prefill.blamed(error) }
    }
  }

  async #stream(upstream: Upstream, giving: Promise<Given>): Promise<Attempted> {
    const { core, admitted, prefill } = this.#pair
    await firstByte(upstream)
    if (wantsLogprobs(admitted)) {
      const given = await giving
      if (isBad(given)) return this.#byPrefill(given)
    }
    core.host.after(giving)
    return streamedBy(this.#pair, upstream, {
      told: () => this.#told,
      merges: mergesIn(admitted),
      began: () => {
        this.#isTaken = true
        prefill.deadline?.stop()
      },
      over: (isWhole) => {
        this.#isTaken = true
        if (!isWhole) prefill.cut(givenUp())
        else if (this.#told === null) core.host.timer(COUNTS_TIME, () => prefill.cut(givenUp()))
      },
    })
  }

  async #whole(answer: LegAnswer, giving: Promise<Given>): Promise<Attempted> {
    const { core, prefill, decode } = this.#pair
    const isGood = answer.upstream.status < 400
    this.#isTaken = isGood
    const given = await soon(core, giving, isGood ? COUNTS_TIME : BLAME_TIME)
    if (!isGood && given && isBad(given) && isOwnFault(given)) return this.#byPrefill(given)
    if (given === null) prefill.cut(givenUp())
    const merged = isGood && this.#told ? this.#told.merge(answer.bytes) : answer.bytes
    return answeredBy(this.#pair, decode, { ...answer, bytes: merged })
  }

  async #fail(failure: UpstreamFailure, giving: Promise<Given>): Promise<Attempted> {
    const given = await soon(this.#pair.core, giving, failure.kind === 'aborted' ? 0 : BLAME_TIME)
    if (given && isBad(given)) return this.#byPrefill(given)
    this.#pair.prefill.cut(givenUp())
    return failedBy(this.#pair, failure)
  }

  #byPrefill(given: Given): Attempted {
    this.#pair.decode.cut(givenUp())
    if ('failure' in given) return failedBy(this.#pair, given.failure)
    return answeredBy(this.#pair, this.#pair.prefill, given.answer) satisfies Started
  }
}

const isBad = (given: Given): boolean => 'failure' in given || given.answer.upstream.status >= 400

/** Not merely the same refusal that the decode engine gave. */
const isOwnFault = (given: Given): boolean => 'failure' in given || given.answer.upstream.status >= 500

const failureOf = (given: Given): UpstreamFailure =>
  'failure' in given ? given.failure : new UpstreamFailure('reset', 'the prefill worker refused', 'prefill')

/** The prompt's log probabilities are told by the prefill engine alone, and in every event: they must be here first. */
function wantsLogprobs({ call }: Pair['admitted']): boolean {
  return call.body.kind === 'json' && call.body.top.boolean('return_logprob') === true
}

/** What a promise comes to within that many milliseconds; else null. */
function soon<T>({ host }: Pair['core'], promise: Promise<T>, ms: number): Promise<T | null> {
  return new Promise((resolve) => {
    const cancel = host.timer(ms, () => resolve(null))
    void promise.then((value) => {
      cancel()
      resolve(value)
    })
  })
}
