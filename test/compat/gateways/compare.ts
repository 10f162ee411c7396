// What of two replies to one request has to be alike: status, kind of body, its shape, and the id's prefix.

export interface Reply {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly id: string | null
}

/** Where they differ, a line each: `status: 200 / 404`, the original's first. */
export function differences(original: Reply, ours: Reply): string[] {
  const found: string[] = []
  const compare = (what: string, one: string, other: string) => {
    if (one !== other) found.push(`${what}: ${one} / ${other}`)
  }
  compare('status', String(original.status), String(ours.status))
  compare('type', kindOf(original.type), kindOf(ours.type))
  compare('request id', idShape(original.id), idShape(ours.id))
  const [one, other] = [shapeOf(original), shapeOf(ours)]
  if (original.status === ours.status) compare('body', one, other)
  return found
}

const kindOf = (type: string): string => type.split(';')[0]?.trim() ?? ''

/** Ids that are made differ behind their prefix. */
const idShape = (id: string | null): string => (id === null ? 'none' : id.replace(/-[A-Za-z0-9]{24}$/, '-*'))

/** JSON: its keys and the kinds of values; events: those of the first; other text: as it is, without what differs by itself. */
function shapeOf({ type, text }: Reply): string {
  if (type.startsWith('text/event-stream')) return `events ${jsonShape(text.split('\n')[0]?.slice(6) ?? '')}`
  const json = jsonShape(text)
  return json === '' ? plain(text) : json
}

function jsonShape(text: string): string {
  try {
    return JSON.stringify(shape(JSON.parse(text)))
  } catch {
    return ''
  }
}

function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])]
  if (typeof value !== 'object' || value === null) return typeof value
  const entries = Object.entries(value).map(([key, one]) => [key, shape(one)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Metrics are long, and how a parser words its complaint is its own affair. */
function plain(text: string): string {
  if (/^# (?:HELP|TYPE)/m.test(text)) return 'metrics'
  return text.replace(/(?:key must be|missing field|JSON).*/s, '…').slice(0, 120)
}
