// Each worker takes a class of prompt lengths.
import type { Ask } from '../actors/ask.ts'
import type { Config } from '../config/schema.ts'
import { balanceOf, isImbalanced } from './balance.ts'
import { LengthWindow } from './length-window.ts'
import type { Candidate, Choose, Policy } from './policy.ts'

const BYTES_PER_TOKEN = 4

/**
 * As SGLang's gateway does it: each worker has a class of prompt lengths, so that short ones do not wait behind long ones. The
 * classes begin as equal parts of 4096 bytes and follow the lengths that come, so that each gets an equal part of the bytes. While
 * the bytes given out of late are far apart, the worker with the fewest gets the call.
 */
function make(config: Config): Choose {
  const balance = balanceOf(config)
  const window = new LengthWindow(config.bucketInterval)
  return (ask, candidates, { now, isDry }) => {
    const bytes = lengthOf(ask)
    window.begin(ask.id, now)
    let index = 0
    let least = Infinity
    let most = 0
    for (let i = 0; i < candidates.length; i++) {
      const given = window.given((candidates[i] as Candidate).id)
      if (given < least) index = i
      least = Math.min(least, given)
      most = Math.max(most, given)
    }
    if (!isImbalanced(least, most, balance)) index = window.classOf(bytes, candidates.length)
    if (isDry !== true) window.give(ask.id, (candidates[index] as Candidate).id, bytes)
    return index
  }
}

function lengthOf(ask: Ask): number {
  return ask.promptBytes > 0 ? ask.promptBytes : ask.tokens * BYTES_PER_TOKEN
}

export const bucket: Policy = {
  name: 'bucket',
  needsPrefix: false,
  make,
}
