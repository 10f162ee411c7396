// Which requests may travel to a worker at all: a path that leaves /v1, once somebody behind us resolves it, may not.
import { Refusal } from './errors.ts'

const DOT = /(?:\.|%2e)/i

/** Throws 404 for a path whose dot segments climb out of /v1, and for TRACE, whose answer would show a worker's key. */
export function checkReach(method: string, pathname: string): void {
  const leaves = DOT.test(pathname) && (climbs(pathname, /[/\\]/) || climbs(pathname, /[/\\]|%2f|%5c/i))
  if (method === 'TRACE' || leaves)
    throw new Refusal(404, 'not_found', `There is no ${method} of such a path here: inference is under /v1.`)
}

/** Servers differ in what they take for a slash, and in whether two of them are one: the worst case counts. */
function climbs(pathname: string, slash: RegExp): boolean {
  let depth = 0
  let first: string | null = null
  let hasDots = false
  for (const segment of pathname.split(slash)) {
    const plain = segment.replace(/%2e/gi, '.')
    if (plain === '..') {
      hasDots = true
      if (--depth < 1) return true
    } else if (plain !== '' && plain !== '.') {
      first ??= plain
      depth++
    }
  }
  return hasDots && first !== 'v1'
}
