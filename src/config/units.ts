// Durations and sizes with units: `250ms`, `30s`, `1m30s`, `off`; `256MB`, `1GiB`.
import * as z from './form.ts'

const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
}

/** Milliseconds, or null when the text is no duration. Parts add up (`1m30s`); a bare number is seconds; `off` is 0. */
export function parseDuration(text: string | number): number | null {
  if (typeof text === 'number') return text >= 0 ? text * 1000 : null
  if (text === 'off') return 0
  const words = text.trim().toLowerCase()
  if (/^\d+(?:\.\d+)?$/.test(words)) return Number(words) * 1000
  if (!/^(?:\d+(?:\.\d+)?\s*[a-z]+\s*)+$/.test(words)) return null
  let sum = 0
  let last = Infinity
  for (const [, number, name = ''] of words.matchAll(/([\d.]+)\s*([a-z]+)/g)) {
    const unit = Object.hasOwn(DURATIONS, name) ? DURATIONS[name]! : Infinity
    // From the largest unit down, each once: anything else is rather a slip of the pen.
    if (unit >= last) return null
    last = unit
    sum += Number(number) * unit
  }
  return sum
}

/** Bytes, or null when the text is no size. A bare number is bytes; `off` is 0. */
function parseSize(text: string | number): number | null {
  if (typeof text === 'number') return text >= 0 ? Math.floor(text) : null
  if (text === 'off') return 0
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  if (!match) return null
  const unit = SIZES[match[2] ? match[2].toLowerCase() : 'b']
  return unit === undefined ? null : Math.floor(Number(match[1]) * unit)
}

const DURATION = withUnit('duration', parseDuration, 'a duration like 250ms, 30s, 5m or off')
const SIZE = withUnit('size', parseSize, 'a size like 64KB, 256MB or 1GiB')

/** A duration in the config: `30s`, `250ms`, `off`, or a number of seconds. Becomes milliseconds, 0 when off. */
export const duration = (initial: string) => z.prefault(DURATION, initial)

/** A size in the config: `256MB`, `1GiB`, or a number of bytes. Becomes bytes, 0 when off. */
export const size = (initial: string) => z.prefault(SIZE, initial)

function withUnit(
  unit: 'duration' | 'size',
  parse: (text: string | number) => number | null,
  expected: string,
) {
  const written = z.union([z.string(), z.number()]).in(unit)
  const read = z.transform((text: string | number, ctx) => {
    const value = parse(text)
    if (value !== null) return value
    const message = `expected ${expected}, got ${JSON.stringify(text)}`
    ctx.issues.push({ code: 'custom', message, path: [] })
    return z.NEVER
  })
  return z.pipe(written, read)
}
