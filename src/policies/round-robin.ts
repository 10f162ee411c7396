// Each in turn.
import type { Config } from '../config/schema.ts'
import type { Candidate, Choose, Policy } from './policy.ts'

/** Programs whose turns go by URL; elsewhere workers begin in the order in which they came. */
const BY_URL: ReadonlySet<string> = new Set(['distributed-llm-router', 'dlrouter'])

const make = ({ dialect }: Config): Choose => (BY_URL.has(dialect ?? '') ? nextByUrl : longestAgo)

/** The one chosen longest ago: a counter modulo the number of candidates would skip and double whenever that number changes. */
function longestAgo(_ask: unknown, candidates: readonly Candidate[]): number {
  let best = 0
  for (let i = 1; i < candidates.length; i++) {
    if ((candidates[i] as Candidate).lastTurn < (candidates[best] as Candidate).lastTurn) best = i
  }
  return best
}

/** The first URL after that of the one chosen last, else the first of all: so those programs' counters go while nobody comes or leaves. */
function nextByUrl(_ask: unknown, candidates: readonly Candidate[]): number {
  let last = candidates[0] as Candidate
  for (const one of candidates) if (one.lastTurn > last.lastTurn) last = one
  let first = 0
  let next = -1
  for (const [i, { url }] of candidates.entries()) {
    if (url < (candidates[first] as Candidate).url) first = i
    const isAfter = last.lastTurn > 0 && url > last.url
    if (isAfter && (next < 0 || url < (candidates[next] as Candidate).url)) next = i
  }
  return next < 0 ? first : next
}

export const roundRobin: Policy = {
  name: 'round_robin',
  needsPrefix: false,
  make,
}
