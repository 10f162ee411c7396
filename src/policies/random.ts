// By chance, in proportion to weight.
import type { Policy } from './policy.ts'

export const random: Policy = {
  name: 'random',
  needsPrefix: false,
  choose(_ask, candidates, sense) {
    let total = 0
    for (const candidate of candidates) total += candidate.weight
    let left = sense.random() * total
    for (let i = 0; i < candidates.length; i++) {
      left -= candidates[i]?.weight ?? 0
      if (left < 0) return i
    }
    return candidates.length - 1
  },
}
