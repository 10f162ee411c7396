// A session keeps the worker that it was given first.
import type { Config } from '../config/schema.ts'
import { Assignments } from './assignments.ts'
import { leastBy } from './least-by.ts'
import type { Candidate, Choose, Policy, PoolSense } from './policy.ts'

/**
 * As SGLang's gateway does it: a key keeps the worker it was given first, whoever joins; where that one is out, it gets a second one
 * and returns when it can. Idle keys are forgotten. Here a key is the call's session; without one nothing is remembered.
 */
function make(config: Config): Choose {
  const given = new Assignments(config.manualIdle)
  const assign = assignBy(config.manualAssignment, given)
  return ({ session }, candidates, sense) => {
    if (session === null) return assign(candidates, sense)
    for (const worker of given.find(session, sense.now)) {
      const index = candidates.findIndex(({ id }) => id === worker)
      if (index >= 0) return index
    }
    const index = assign(candidates, sense)
    if (sense.isDry !== true) given.give(session, (candidates[index] as Candidate).id, sense.now)
    return index
  }
}

type Assign = (candidates: readonly Candidate[], sense: PoolSense) => number

function assignBy(mode: Config['manualAssignment'], given: Assignments): Assign {
  if (mode === 'random') return (candidates, sense) => leastBy(candidates, sense, () => 0)
  if (mode === 'min_load')
    return (candidates, sense) => leastBy(candidates, sense, ({ inFlight }) => inFlight)
  return (candidates, sense) => leastBy(candidates, sense, ({ id }) => given.count(id))
}

export const manual: Policy = {
  name: 'manual',
  needsPrefix: false,
  make,
}
