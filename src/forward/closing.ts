// The end of a call, exactly once: the lease is settled, the tokens are booked, the meters turned.
import type { Failure, Outcome, Usage } from '../actors/ask.ts'
import type { Allowance } from '../actors/limiter.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { OrcaLoad } from '../engines/orca.ts'
import type { Started } from '../execute/attempted.ts'
import type { UpstreamFailure } from '../host.ts'
import type { CallOutcome } from '../metrics/instruments.ts'
import type { Shape } from '../openai/shapes.ts'
import type { Life } from './notes.ts'

/** What is still needed of a call while its answer goes by. Holds no body: that memory is free again. */
export interface Passing {
  readonly id: string
  readonly worker: string
  /** Where that is. */
  readonly url: string
  /** Of a pair; null: there is none. */
  readonly prefill: string | null
  readonly model: string
  readonly endpoint: string
  readonly shape: Shape
  readonly status: number
  readonly isStream?: boolean
  /** A guess of the prompt's tokens. */
  readonly tokens: number
  readonly startedAt: number
  readonly sentAt: number
  readonly allowance: Allowance | null
}

export interface Ending {
  readonly outcome: CallOutcome
  readonly usage: Usage | null
  /** When the first token of a stream came, epoch ms. */
  readonly firstTokenAt?: number | null
  /** Mean seconds between the tokens of a stream that had several. */
  readonly interToken?: number
  /** Set when the worker is to blame. */
  readonly failure?: UpstreamFailure
  /** Id of what the worker stored. */
  readonly state?: string | null
  /** What came with the answer. */
  readonly load?: OrcaLoad | null
}

/** An answer on its way through. */
export class Passage {
  readonly core: Core
  readonly passing: Passing
  readonly started: Started
  /** What the worker told of its load with the answer's head. */
  readonly load: OrcaLoad | null
  readonly life: Life
  #isClosed = false

  constructor(core: Core, admitted: Admitted, started: Started, load: OrcaLoad | null) {
    this.core = core
    this.passing = passingOf(core, admitted, started)
    this.life = admitted.life
    this.started = started
    this.load = load
  }

  /** Ends the call; only its first use counts. */
  close(ending: Ending): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const { core, passing } = this
    core.live--
    core.notes.ended(this.life)
    core.recorder?.ended(passing, ending, core.host.now())
    settle(core, passing, ending)
    measure(core, passing, ending)
    core.surface?.count?.({ kind: 'ended', passing, ending }, core)
    core.surface?.follow?.({ kind: 'over', id: passing.id }, core)
    book(core, passing, ending.usage)
  }
}

function passingOf(
  core: Core,
  { call, caller, model }: Admitted,
  { plan, upstream, sentAt }: Started,
): Passing {
  return {
    id: call.id,
    worker: plan.worker.id,
    url: plan.worker.url,
    prefill: plan.kind === 'pair' ? plan.prefill.id : null,
    model: core.models.known(model),
    endpoint: call.endpoint.name,
    shape: call.shape,
    status: upstream.status,
    isStream: call.isStream,
    tokens: call.tokens,
    startedAt: call.startedAt,
    sentAt,
    allowance: caller.allowance,
  }
}

function settle({ host }: Core, { id, status }: Passing, ending: Ending): void {
  const { outcome, usage, failure, state, load } = ending
  const told: { -readonly [K in keyof Outcome]: Outcome[K] } = {
    kind: outcome === 'left' ? 'left' : failure ? 'failed' : 'done',
    status,
  }
  if (usage) told.usage = usage
  if (failure) told.failure = failureOf(failure)
  if (state) told.state = state
  if (load) told.load = load
  const settled = host.pool('main').settle(id, told)
  if (settled) host.after(settled)
}

const failureOf = ({ kind, leg }: UpstreamFailure): Failure => ({ kind, ...(leg && { leg }) })

function measure({ instruments, host }: Core, passing: Passing, { outcome, usage, failure }: Ending): void {
  const { model, worker, endpoint, status } = passing
  const seconds = (host.now() - passing.startedAt) / 1000
  instruments.answered({ model, endpoint, status, outcome, worker, seconds, usage })
  const blamed = (failure?.leg && passing.prefill) ?? worker
  if (failure) instruments.upstreamFailures.with(blamed, failure.kind).add()
}

/** The guess was taken when the call was let in; the rest is booked now. */
function book({ host }: Core, { allowance, tokens }: Passing, usage: Usage | null): void {
  if (!allowance || !usage) return
  const booked = host
    .limiter(allowance.tenant)
    .book(allowance, usage.promptTokens + usage.completionTokens - tokens)
  if (booked) host.after(booked)
}
