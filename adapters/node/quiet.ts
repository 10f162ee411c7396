// Keeps the young generation as large as it is behind a rest. V8 makes it 1 MiB at the first collection then; until it has grown again
// collections come sixteen times as often, and what they find alive, since calls are still under way, fills the old generation.
import { setFlagsFromString } from 'node:v8'

/** How often it is looked at, ms. */
const OFTEN = 1000
/** A process that uses less of a core is quiet. V8 shrinks at less than 1 KB a ms, some 70 calls a second. */
const LITTLE = 0.03
/** V8 of Node 24 and 26. That of Node 22 aborts where it is told in the midst of marking; these were told 10,000 times. */
const KNOWN = [13, 14]

/** While the process has next to nothing to do, and for the first second behind that, V8 leaves the young generation as it is. */
export function keepWhenQuiet(): void {
  if (!KNOWN.includes(Number.parseInt(process.versions.v8, 10))) return
  const load = loadMeter()
  /** Seconds in a row. */
  let busy = 2
  const look = () => {
    const isQuiet = load() < LITTLE
    if (isQuiet && busy > 0) keepSizes(true)
    busy = isQuiet ? 0 : busy + 1
    if (busy === 2) keepSizes(false)
  }
  setInterval(look, OFTEN).unref()
}

/** Tells how much of a core the process has used since it was asked before. */
function loadMeter(): () => number {
  let at = performance.now()
  let before = process.cpuUsage()
  return () => {
    const now = performance.now()
    const { user, system } = process.cpuUsage(before)
    const used = (user + system) / 1000 / (now - at)
    before = process.cpuUsage()
    at = now
    return used
  }
}

/**
 * V8's word for it is "predictable". Of what that means at the start, two things are left for a process that runs: spaces keep their
 * sizes; and marking, once begun, goes on to its end, which is why it does not stay on under load.
 */
function keepSizes(should: boolean): void {
  setFlagsFromString(should ? '--predictable' : '--no-predictable')
}
