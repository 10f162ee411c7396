// A beginning keeps its first worker, as in DLRouter.
import type { Config } from '../config/schema.ts'
import { Beginnings } from './beginnings.ts'
import { leastLoaded } from './least-load.ts'
import type { Candidate, Choose, Policy } from './policy.ts'
import { Recent } from './recent.ts'

/** Beginnings that are remembered. */
const MAX_BEGINNINGS = 65_536
/** Workers that are remembered of each, the first ones. */
const MAX_WORKERS = 8

/**
 * DLRouter's prefix_cache: the first 100 characters of a prompt keep to the worker that had them first, whatever its load; prompts
 * with a new beginning go to the least loaded. Here the beginning is the first block, 256 bytes, all of it: there a single equal
 * character makes a match, so that one worker gets everything. Shorter prompts have no block and go by load; what is remembered is
 * bounded, there it grows for ever. In its dialect the very characters are compared, of short prompts too.
 */
function make({ dialect, strictCompat }: Config): Choose {
  return dialect === 'dlrouter' ? byText(strictCompat ? 0 : ENOUGH) : byBlock()
}

/** Share of a beginning that must be the same. */
const ENOUGH = 0.5

/** Goes by the beginning itself, which the dialect gives as the session. */
function byText(enough: number): Choose {
  const beginnings = new Beginnings()
  return ({ session: text }, candidates, { isDry }) => {
    if (text === null) return leastLoaded(candidates)
    const isHere = (worker: string) => candidates.some(({ id }) => id === worker)
    const found = beginnings.find(text, isHere)
    const isHit = found !== null && found.depth >= enough * Array.from(text).length
    const index = isHit ? candidates.findIndex(({ id }) => id === found.worker) : leastLoaded(candidates)
    if (isDry !== true) beginnings.add(text, (candidates[index] as Candidate).id)
    return index
  }
}

function byBlock(): Choose {
  const beginnings = new Recent<string[]>(MAX_BEGINNINGS)
  return (ask, candidates, { isDry }) => {
    const first = ask.prefix?.[0]
    if (first === undefined) return leastLoaded(candidates)
    const known = beginnings.use(first) ?? []
    for (const worker of known) {
      const index = candidates.findIndex(({ id }) => id === worker)
      if (index >= 0) return index
    }
    const index = leastLoaded(candidates)
    if (isDry === true) return index
    if (known.length === 0) beginnings.add(first, known)
    if (known.length >= MAX_WORKERS) known.shift()
    known.push((candidates[index] as Candidate).id)
    return index
  }
}

export const dlrouterPrefixCache: Policy = {
  name: 'dlrouter_prefix_cache',
  needsPrefix: true,
  make,
}
