// Puts what was decided into a pool's books.
import type { Ask, Plan } from './ask.ts'
import type { Knowledge } from './knowledge.ts'
import type { Ledger } from './ledger.ts'
import type { Roster } from './roster.ts'
import type { Seat } from './seat.ts'

export interface Books {
  readonly roster: Roster
  readonly ledger: Ledger
  readonly knowledge: Knowledge
}

/** A worker carries a call from now on, and its prompt. The pool's sense must look at that ask. */
export function account(
  { ledger, knowledge }: Books,
  seat: Seat,
  plan: Plan,
  { ask, tried, now, record }: { ask: Ask; tried: readonly string[]; now: number; record: number },
): void {
  const { sense } = knowledge
  const tokens = sense.promptTokens
  const isPair = plan.kind === 'pair'
  // Of a pair this is the decode worker, which gets the prompt computed.
  const matched = isPair ? tokens : sense.match(seat.id)
  const depth = sense.depth(seat.id)
  const lease = ledger.open(ask, seat, plan, { tried, now, tokens, matched, depth, record })
  knowledge.opened(lease, isPair || plan.attempt > 1, now)
}

/** The prefill worker of a pair carries the prompt until it has handed over, which it tells whether the call streams or not. */
export function accountLeg(
  { ledger, knowledge }: Books,
  seat: Seat,
  plan: Plan,
  { ask, tried, now }: { ask: Ask; tried: readonly string[]; now: number },
): void {
  const { sense } = knowledge
  const known = {
    tokens: sense.promptTokens,
    matched: sense.match(seat.id),
    depth: sense.depth(seat.id),
    record: -1,
  }
  const lease = ledger.open({ ...ask, stream: true }, seat, plan, { tried, now, ...known })
  knowledge.opened(lease, plan.attempt > 1, now)
}
