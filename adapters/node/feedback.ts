// Tells V8 what it needs to compile well, and to keep what it has compiled.
import { setFlagsFromString } from 'node:v8'

/** V8 of Node 22.19 to 26: they know the flags. Others would print an error. */
const KNOWN = [12, 13, 14]

/** What functions are called with is noted from their first call, not only from their eighth. */
const NOTES = '--no-lazy-feedback-allocation'
/**
 * Behind some quiet minutes V8 collects in a way that drops all shapes without an object at once, and has to compile everything
 * again: twice the CPU for the next thousand calls, for some 5 MB.
 */
const NO_DROPPING = '--memory-reducer-gc-count=0'
/** V8 waits so long before it does that first, ms. Told in the midst of it, it would abort the process. */
const YOUNG = 8000

/**
 * To be called once the router listens: what runs once, at the start, is not worth notes. A router that has just started then
 * uses 11 % less CPU for its first 3,000 calls.
 */
export function noteAtOnce(): void {
  tell(flagsFor(process.versions.v8, performance.now()))
}

/** The part of it that has to be said early, by whoever waits for something before the router can listen. */
export function keepShapes(): void {
  tell(flagsFor(process.versions.v8, performance.now()).filter((flag) => flag === NO_DROPPING))
}

function tell(flags: readonly string[]): void {
  for (const flag of flags) setFlagsFromString(flag)
}

/**
 * What V8 is told.
 * @param version of V8
 * @param age of the process, ms: one that waited long for its workers is told less
 */
export function flagsFor(version: string, age: number): readonly string[] {
  if (!KNOWN.includes(Number.parseInt(version, 10))) return []
  return age < YOUNG ? [NOTES, NO_DROPPING] : [NOTES]
}
