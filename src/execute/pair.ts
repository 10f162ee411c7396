// What all executors of pairs share: two legs, and how their answers and failures become those of the attempt.
import type { PairPlan } from '../actors/ask.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Stop } from '../forward/stop.ts'
import { isEventStream } from '../forward/headers.ts'
import { UpstreamFailure, type Upstream } from '../host.ts'
import type { Failed, Started } from './attempted.ts'
import { Leg, type LegAnswer } from './leg.ts'
import type { Partner } from './pair-watch.ts'
import type { Told } from './told.ts'

/** One attempt with a prefill and a decode worker. */
export interface Pair {
  readonly core: Core
  readonly admitted: Admitted
  readonly plan: PairPlan
  readonly prefill: Leg
  readonly decode: Leg
  /** Epoch ms. */
  readonly startedAt: number
}

/** Both legs of a plan, of which nothing was sent yet. `abort` ends both. */
export function openPair(core: Core, admitted: Admitted, plan: PairPlan, abort: Stop): Pair {
  const by = { core, admitted, plan }
  const prefill = new Leg('prefill', by, abort.signal)
  return { ...by, prefill, decode: new Leg('decode', by, abort.signal), startedAt: core.host.now() }
}

/** Until the prefill worker must have handed over, ms. */
export const prefillTime = ({ config }: Core): number => config.prefillTimeout || config.firstTokenTimeout

/** The prefill worker has done its part: its load falls. */
export function handedOver({ core, plan, prefill }: Pair, told: Told | null): void {
  const usage = told?.usage()
  const after = core.host.now() - prefill.sentAt
  core.notes.add({ id: plan.decision, kind: 'handover', after, ...(usage && { usage }) })
}

/** The attempt of a pair as failed; the clocks of both legs stop. */
export function failedBy({ plan, prefill, decode }: Pair, failure: UpstreamFailure): Failed {
  prefill.deadline?.stop()
  decode.deadline?.stop()
  return { kind: 'failed', plan, failure }
}

/** An answer that was read to its end is the attempt's: of the decode leg as a rule, of the prefill leg where that refused. */
export function answeredBy({ plan, startedAt }: Pair, leg: Leg, { upstream, bytes }: LegAnswer): Started {
  const deadline = leg.deadline ?? leg.time(0)
  deadline.stop()
  const isPrefill = leg.name === 'prefill' && { leg: leg.name }
  return {
    kind: 'started',
    plan,
    upstream,
    deadline,
    sentAt: startedAt,
    broken: () => leg.failure,
    whole: bytes,
    ...isPrefill,
  }
}

/** A stream that has begun is the attempt's answer. */
export function streamedBy({ plan, startedAt, decode }: Pair, upstream: Upstream, partner: Partner): Started {
  const deadline = decode.deadline ?? decode.time(0)
  const broken = () => decode.failure
  return { kind: 'started', plan, upstream, deadline, sentAt: startedAt, broken, partner }
}

export const isGoodStream = ({ status, headers }: Upstream): boolean => status < 400 && isEventStream(headers)

/** Waits for the first byte of a stream. Rejects when there is none. */
export async function firstByte(upstream: Upstream): Promise<void> {
  const first = await upstream.first()
  if (first === null) throw new UpstreamFailure('reset', 'the stream ended before its first byte')
}

export const givenUp = (): UpstreamFailure => new UpstreamFailure('aborted', 'the other worker failed')

/** Whether a stream may hold counts or log probabilities that only the prefill engine knows. */
export function mergesIn({ call, stripUsage }: Admitted): boolean {
  if (stripUsage) return true
  if (call.shape !== 'chat' && call.shape !== 'completions') return true
  return call.body.kind === 'json' && call.body.top.has('stream_options')
}
