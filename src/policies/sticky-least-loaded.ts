// A session keeps a worker that had the fewest sessions.
import type { Config } from '../config/schema.ts'
import { rendezvousScore } from '../hash.ts'
import { Assignments } from './assignments.ts'
import type { Candidate, Choose, Policy } from './policy.ts'

/**
 * As vLLM's router does it: a new session goes to the worker with the fewest sessions and stays there until it is idle or its worker
 * is out. Which of equals it is, hashing says, so that routers that share nothing agree more often. A call without a session goes
 * to the fewest sessions too and does not count as one.
 */
function make(config: Config): Choose {
  const given = new Assignments(config.stickyIdle)
  const choose: Choose = ({ session }, candidates, { now, isDry }) => {
    if (session === null) return fewest(candidates, given, '')
    const worker = given.find(session, now).at(-1)
    const known = worker === undefined ? -1 : candidates.findIndex(({ id }) => id === worker)
    if (known >= 0) return known
    const index = fewest(candidates, given, session)
    if (isDry !== true) given.give(session, (candidates[index] as Candidate).id, now)
    return index
  }
  return Object.assign(choose, { release: (session: string) => given.drop(session) })
}

function fewest(candidates: readonly Candidate[], given: Assignments, session: string): number {
  let best = 0
  let bestScore = Infinity
  for (let i = 0; i < candidates.length; i++) {
    const { id } = candidates[i] as Candidate
    const score = given.count(id) - rendezvousScore(session, id)
    if (score >= bestScore) continue
    best = i
    bestScore = score
  }
  return best
}

export const stickyLeastLoaded: Policy = {
  name: 'sticky_least_loaded',
  needsPrefix: false,
  make,
}
