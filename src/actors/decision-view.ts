// A decision as people see it: who could be chosen, what each would have cost, who was passed over and why, and what came of it.
import type { Candidate, PoolSense, Terms } from '../policies/policy.ts'
import type { Ask, Failure, RefusalValue } from './ask.ts'
import type { DecisionLog } from './decision-log.ts'
import { reasonOf, ROW } from './decision-rows.ts'
import { HEAD, type Named, type Slot } from './decision-slot.ts'
import type { Member } from './members.ts'
import { serves } from './roster.ts'

/** A worker that was chosen from. Lengths are tokens; null: unknown. */
export interface CandidateView {
  readonly worker: string
  readonly chosen: boolean
  /** Of the prompt, held there as far as the pool knew. */
  readonly matched_tokens: number
  readonly uncached_tokens: number
  readonly backlog_tokens: number
  readonly in_flight: number
  readonly weight: number
  readonly latency_ms: number
  readonly speed_tokens_per_second: number
  readonly held_tokens: number
  readonly capacity_tokens: number | null
  readonly reported_running: number | null
  readonly reported_waiting: number | null
  readonly foreign_calls: number
  readonly foreign_tokens: number
  /** All that the view has of it. */
  readonly tree_tokens: number
  /** What the policy weighed: the sum, and its parts. Null: the policy weighs nothing. */
  readonly cost: number | null
  readonly terms: Terms
}

/** A worker that was not chosen from. */
export interface ExclusionView {
  readonly worker: string
  readonly reason: string
}

export interface AttemptView {
  readonly attempt: number
  /** Null: nobody was chosen. */
  readonly worker: string | null
  /** Another worker that computed the prompt first; null: the same. */
  readonly prefill: string | null
  readonly policy: string
  readonly decided_at: string
  readonly waited_ms: number
  /** For room, or until a worker had nearly read what it was sent; null: it did not wait. */
  readonly waited_for: 'room' | 'backlog' | null
  readonly delay_ms: number
  readonly predicted_cached_tokens: number
  readonly candidates: readonly CandidateView[]
  readonly exclusions: readonly ExclusionView[]
  /** `running` until it ended. */
  readonly outcome: string
  readonly status: number | null
  readonly failure: Failure | null
}

/** The answer to GET decisions/{id} and POST explain. Candidates and exclusions are those of the last attempt. */
export interface DecisionView extends Omit<AttemptView, 'attempt'> {
  /** Null for a dry run, which decides nothing. */
  readonly id: string | null
  readonly object: 'decision'
  readonly dry_run: boolean
  /** Decided by the router itself, because the pool did not answer. */
  readonly degraded: boolean
  readonly model: string | null
  readonly tenant: string
  readonly priority: number
  readonly stream: boolean
  readonly has_session: boolean
  readonly pinned_to: string | null
  readonly refusal: RefusalValue | null
  /** As it was guessed before it was sent. */
  readonly prompt: { readonly tokens: number; readonly bytes: number; readonly blocks: number }
  readonly pool: {
    readonly best_match_tokens: number
    readonly popularity: number
    readonly nominal_tokens_per_second: number
    readonly bytes_per_token: number
  }
  /** What the engine told at the end; null: it has not, or tells nothing. */
  readonly prompt_tokens: number | null
  readonly cached_tokens: number | null
  readonly completion_tokens: number | null
  /** Predicted less real cached tokens. */
  readonly prediction_error_tokens: number | null
  readonly first_token_ms: number | null
  readonly duration_ms: number | null
  readonly attempts: readonly AttemptView[]
}

/** The decision made of its attempts, oldest first, at least one. `members`: those that never served the ask are told from them. */
export function viewOfDecision(
  log: DecisionLog,
  slots: readonly Slot[],
  members: readonly Member[],
): DecisionView {
  const last = slots[slots.length - 1] as Slot
  const first = slots[0] as Slot
  const numbers = log.numbersOf(last)
  const attempts = slots.map((slot) => viewOfAttempt(log, slot, members))
  const { attempt: _, ...deciding } = attempts[attempts.length - 1] as AttemptView
  const predicted = deciding.predicted_cached_tokens
  const cached = known(numbers[HEAD.realCached])
  const endedAt = known(numbers[HEAD.endedAt])
  return {
    id: last.id,
    object: 'decision',
    dry_run: false,
    degraded: last.isDegraded,
    model: last.model,
    ...deciding,
    tenant: last.tenant,
    priority: numbers[HEAD.priority] as number,
    stream: last.stream,
    has_session: last.hasSession,
    pinned_to: last.pin,
    refusal: last.refusal,
    prompt: {
      tokens: rounded(numbers[HEAD.promptTokens] || numbers[HEAD.tokens]),
      bytes: numbers[HEAD.promptBytes] as number,
      blocks: numbers[HEAD.blocks] as number,
    },
    pool: {
      best_match_tokens: rounded(numbers[HEAD.bestMatch]),
      popularity: fine(numbers[HEAD.popularity] as number),
      nominal_tokens_per_second: rounded(numbers[HEAD.nominalSpeed]),
      bytes_per_token: fine(numbers[HEAD.bytesPerToken] as number),
    },
    prompt_tokens: known(numbers[HEAD.realPrompt]),
    cached_tokens: cached,
    completion_tokens: known(numbers[HEAD.realCompletion]),
    prediction_error_tokens: cached === null ? null : predicted - cached,
    first_token_ms: known(numbers[HEAD.firstToken]),
    duration_ms: endedAt === null ? null : fine(endedAt - (log.numbersOf(first)[HEAD.at] as number)),
    attempts,
  }
}

function viewOfAttempt(log: DecisionLog, slot: Slot, members: readonly Member[]): AttemptView {
  const { chosen, outcome, failure } = slot
  const numbers = log.numbersOf(slot)
  const candidates: CandidateView[] = []
  const exclusions: ExclusionView[] = []
  const rebuilt = rebuild(log, slot)
  log.workersOf(slot, (worker, number) => {
    const reason = number(ROW.reason)
    if (reason > 0) {
      exclusions.push({ worker: worker.id, reason: reasonOf(reason) })
      return
    }
    const candidate = candidateOf(worker, number)
    const weighed = slot.weigh?.(rebuilt.ask, candidate, rebuilt.sense) ?? {}
    candidates.push(viewOfCandidate(candidate, { number, weighed, rebuilt, isChosen: worker.id === chosen }))
  })
  const listed = new Set([...candidates, ...exclusions].map(({ worker }) => worker))
  if (!slot.isDegraded) {
    for (const member of members)
      if (!listed.has(member.ref.id))
        exclusions.push({ worker: member.ref.id, reason: whyNotServing(member, rebuilt.ask) })
  }
  return {
    attempt: numbers[HEAD.attempt] as number,
    worker: chosen,
    prefill: slot.prefill,
    policy: slot.policy,
    decided_at: new Date(numbers[HEAD.at] as number).toISOString(),
    waited_ms: fine(numbers[HEAD.waited] as number),
    waited_for: numbers[HEAD.waited] === 0 ? null : numbers[HEAD.isHeld] === 1 ? 'backlog' : 'room',
    delay_ms: fine(numbers[HEAD.delay] as number),
    predicted_cached_tokens: rounded(numbers[HEAD.predicted]),
    candidates,
    exclusions,
    outcome: outcome ?? (slot.refusal ? 'refused' : 'running'),
    status: known(numbers[HEAD.status]),
    failure,
  }
}

interface Rebuilt {
  readonly ask: Ask
  readonly sense: PoolSense
}

/** Puts ask and sense together again as the policy saw them, but for the hashes and the session, which are not kept. */
function rebuild(log: DecisionLog, slot: Slot): Rebuilt {
  const numbers = log.numbersOf(slot)
  const number = (field: number) => numbers[field] as number
  const matches = new Map<string, number>()
  const held = new Map<string, number>()
  log.workersOf(slot, ({ id }, of) => {
    matches.set(id, of(ROW.match))
    held.set(id, of(ROW.treeTokens))
  })
  const { id, model, engines, pin, tenant, stream, makesState } = slot
  return {
    ask: {
      id,
      model,
      engines,
      pin,
      tenant,
      stream,
      makesState,
      prefix: null,
      promptBytes: number(HEAD.promptBytes),
      tokens: number(HEAD.tokens),
      session: null,
      priority: number(HEAD.priority),
      queueUntil: Infinity,
    },
    sense: {
      now: number(HEAD.at),
      random: () => 0,
      promptTokens: number(HEAD.promptTokens),
      match: (worker) => matches.get(worker) ?? 0,
      bestMatch: number(HEAD.bestMatch),
      popularity: number(HEAD.popularity),
      nominalSpeed: number(HEAD.nominalSpeed),
      treeTokens: (worker) => held.get(worker) ?? 0,
      bytesPerToken: number(HEAD.bytesPerToken),
    },
  }
}

function candidateOf({ id, url, role, engine }: Named, number: (field: number) => number): Candidate {
  return {
    id,
    url,
    role,
    engine,
    weight: number(ROW.weight),
    inFlight: number(ROW.inFlight),
    backlogTokens: number(ROW.backlogTokens),
    latency: number(ROW.latency),
    // Nothing that is explained goes by them: a row has no place for them.
    recent: [],
    lastTurn: number(ROW.lastTurn),
    speed: number(ROW.speed),
    heldTokens: number(ROW.heldTokens),
    capacityTokens: number(ROW.capacityTokens),
    reportedRunning: number(ROW.reportedRunning),
    reportedWaiting: number(ROW.reportedWaiting),
    foreignCalls: number(ROW.foreignCalls),
    foreignTokens: number(ROW.foreignTokens),
    joinedAt: number(ROW.joinedAt),
    hasLoaded: () => number(ROW.isLoaded) === 1,
  }
}

function viewOfCandidate(
  candidate: Candidate,
  by: { number: (field: number) => number; weighed: Terms; rebuilt: Rebuilt; isChosen: boolean },
): CandidateView {
  const { cost, ...parts } = by.weighed
  const matched = by.number(ROW.match)
  const prompt = by.rebuilt.sense.promptTokens || by.rebuilt.ask.tokens
  return {
    worker: candidate.id,
    chosen: by.isChosen,
    matched_tokens: rounded(matched),
    uncached_tokens: rounded(Math.max(0, prompt - matched)),
    backlog_tokens: rounded(candidate.backlogTokens),
    in_flight: candidate.inFlight,
    weight: candidate.weight,
    latency_ms: fine(candidate.latency),
    speed_tokens_per_second: rounded(candidate.speed),
    held_tokens: rounded(candidate.heldTokens),
    capacity_tokens: candidate.capacityTokens > 0 ? rounded(candidate.capacityTokens) : null,
    reported_running: known(candidate.reportedRunning),
    reported_waiting: known(candidate.reportedWaiting),
    foreign_calls: fine(candidate.foreignCalls),
    foreign_tokens: rounded(candidate.foreignTokens),
    tree_tokens: rounded(by.number(ROW.treeTokens)),
    cost: cost === undefined ? null : micro(cost),
    terms: Object.fromEntries(Object.entries(parts).map(([name, part]) => [snake(name), micro(part)])),
  }
}

/** Why a member is none of those that serve an ask. */
function whyNotServing(member: Member, ask: Ask): string {
  if (ask.pin !== null) return 'pinned_elsewhere'
  if (member.role !== 'mixed') return `role_${member.role}`
  if (!serves(member, { ...ask, engines: null })) return 'model_not_served'
  return serves(member, ask) ? 'joined_later' : 'endpoint_not_served'
}

const known = (value: number | undefined): number | null =>
  value === undefined || value < 0 ? null : fine(value)
const rounded = (value: number | undefined): number => Math.round(value ?? 0)
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
const micro = (value: number): number => Math.round(value * 1e6) / 1e6
const fine = (value: number): number => Math.round(value * 1000) / 1000
