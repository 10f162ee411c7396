// The less loaded of two taken by chance (Mitzenmacher 1996).
import { isLessLoaded } from './least-load.ts'
import type { Candidate, Policy } from './policy.ts'

/**
 * Calls there, our own and those that others must have sent as far as the engines told. Where only one of the two told, our own
 * alone are compared: a failed poll makes nobody look idle. Of two with as many calls the one with fewer tokens is better.
 */
function isBetter(rival: Candidate, leader: Candidate): boolean {
  if (rival.reportedRunning < 0 || leader.reportedRunning < 0) return isLessLoaded(rival, leader)
  const mine = (rival.inFlight + rival.foreignCalls) * leader.weight
  const theirs = (leader.inFlight + leader.foreignCalls) * rival.weight
  if (mine !== theirs) return mine < theirs
  const held = rival.heldTokens * leader.weight
  const most = leader.heldTokens * rival.weight
  return held === most ? rival.lastTurn < leader.lastTurn : held < most
}

export const powerOfTwo: Policy = {
  name: 'power_of_two',
  needsPrefix: false,
  usesLoad: true,
  choose(_ask, candidates, sense) {
    const count = candidates.length
    if (count === 1) return 0
    const first = Math.floor(sense.random() * count)
    const other = Math.floor(sense.random() * (count - 1))
    const second = other >= first ? other + 1 : other
    return isBetter(candidates[second] as Candidate, candidates[first] as Candidate) ? second : first
  },
}
