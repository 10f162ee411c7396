// Values as Python writes them: JSON whose floats keep their point, in the spacing of `json.dumps` or of FastAPI.

/** A number that Python holds as a float: written `1.0`, not `1`. */
export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** A number as Python's `repr` writes a float. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, power = '0'] = value.toExponential().split('e')
    const sign = power.startsWith('-') ? '-' : '+'
    return `${digits}e${sign}${power.replace(/^[+-]/, '').padStart(2, '0')}`
  }
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

/** How JSON is spaced and ordered. `compact`: as FastAPI answers; `sorted`: `json.dumps(…, sort_keys=True, ensure_ascii=False)`. */
export type JsonStyle = 'compact' | 'sorted'

/** JSON of a value in which `Float` marks the floats. Keys that are undefined are left out. */
export function pythonJson(value: unknown, style: JsonStyle = 'compact'): string {
  const [comma, colon] = style === 'compact' ? [',', ':'] : [', ', ': ']
  if (value instanceof Float) return floatText(value.value)
  if (Array.isArray(value)) return `[${value.map((one) => pythonJson(one, style)).join(comma)}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  const entries = Object.entries(value).filter(([, one]) => one !== undefined)
  if (style === 'sorted') entries.sort(([a], [b]) => compareCodePoints(a, b))
  return `{${entries.map(([key, one]) => JSON.stringify(key) + colon + pythonJson(one, style)).join(comma)}}`
}

/** Python orders texts by code points, JavaScript by UTF-16 units. */
function compareCodePoints(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)]
  for (let i = 0; i < left.length && i < right.length; i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/** A text as Python's `repr` writes it: in single quotes, unless it has some and no double ones. */
export function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote
}
