import { isLessLoaded } from './least-load.ts'
import type { Candidate, Policy } from './policy.ts'

export const powerOfTwo: Policy = {
  name: 'power_of_two',
  about: 'the less loaded of two taken by chance (Mitzenmacher 1996)',
  needsPrefix: false,
  choose(_ask, candidates, sense) {
    const count = candidates.length
    if (count === 1) return 0
    const first = Math.floor(sense.random() * count)
    const other = Math.floor(sense.random() * (count - 1))
    const second = other >= first ? other + 1 : other
    return isLessLoaded(candidates[second] as Candidate, candidates[first] as Candidate) ? second : first
  },
}
