// "Did you mean": finds the name that a misspelt one was meant to be.

/** The closest of `names` to `word`, or null when none is near. Letter case, `-` and `_` do not count. */
export function nearest(word: string, names: readonly string[]): string | null {
  const wanted = fold(word)
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const name of names) {
    const candidate = fold(name)
    const far = distance(wanted, candidate)
    const shared =
      candidate.length >= 5 &&
      (wanted.startsWith(candidate) || (wanted.length >= 4 && candidate.startsWith(wanted)))
    const score = shared ? Math.min(far, 1.5) : far
    if (score < bestDistance) {
      best = name
      bestDistance = score
    }
  }
  return best
}

/** `; did you mean NAME?`, or nothing. */
export function suggest(word: string, names: readonly string[]): string {
  const name = nearest(word, names)
  return name === null ? '' : `; did you mean ${name}?`
}

const fold = (text: string): string => text.toLowerCase().replace(/[-_]/g, '')

/** Optimal string alignment distance: inserts, deletes, replaced and swapped neighbours count one each. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(replaced, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1)
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}
