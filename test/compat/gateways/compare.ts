// What of two replies to one request has to be alike: status, headers, kind of body, its shape, and what engines got of it.

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** What engines got of it, in their order: its path, the headers that count, and the keys that the router adds. */
  readonly received: readonly string[]
}

/** Headers that clients go by. The others are the transport's, or our own. */
const NAMES = [
  'x-request-id',
  'x-smg-error-code',
  'www-authenticate',
  'allow',
  'retry-after',
  'location',
  'access-control-allow-origin',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-expose-headers',
  'access-control-max-age',
] as const

/**
 * Where they differ, a line each: `status: 200 / 404`, the original's first. `isPage`: a browser asked, to whom CORS headers mean
 * something.
 */
export function differences(original: Reply, ours: Reply, isPage: boolean): string[] {
  const found: string[] = []
  const compare = (what: string, one: string, other: string) => {
    if (one !== other) found.push(`${what}: ${one} / ${other}`)
  }
  compare('status', String(original.status), String(ours.status))
  compare('type', kindOf(original), kindOf(ours))
  // Without a grant the rest means nothing.
  const isGranted = [original, ours].every(({ headers }) => headers.has('access-control-allow-origin'))
  const isMeant = (name: string) =>
    !name.startsWith('access-control-') || (isPage && (isGranted || name === 'access-control-allow-origin'))
  const isRefused = original.status === 405 || ours.status === 405
  for (const name of NAMES)
    if (isMeant(name) && (isRefused || name !== 'allow'))
      compare(name, headerOf(original, name), headerOf(ours, name))
  if (original.status === ours.status) compare('body', shapeOf(original), shapeOf(ours))
  compare('received', original.received.join(' | '), ours.received.join(' | '))
  return found
}

const kindOf = ({ headers }: Reply): string => (headers.get('content-type') ?? '').split(';')[0]?.trim() ?? ''

/** Lists in any order; ids that are made differ behind their prefix. */
function headerOf({ headers }: Reply, name: string): string {
  const value = headers.get(name)
  if (value === null) return 'none'
  if (name === 'location') return value.replace(UUID, '*')
  if (name === 'x-request-id') return value.replace(/-[A-Za-z0-9]{24}$/, '-*')
  const parts = value.toLowerCase().split(/,\s*/)
  return parts.toSorted((one, other) => (one < other ? -1 : 1)).join(',')
}

const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g

/** JSON: its keys and the kinds of values; events: all of them, without what differs by itself; other text: as it is. */
function shapeOf(reply: Reply): string {
  if (kindOf(reply) === 'text/event-stream') return eventsOf(reply.text)
  const json = jsonShape(reply.text)
  return json === '' ? plain(reply.text) : json
}

/** Every byte but ids and times. */
const eventsOf = (text: string): string =>
  text
    .replace(/"(id|system_fingerprint)":\s*"[^"]*"/g, '"$1":"*"')
    .replace(/"(created|e2e_latency|[a-z_]*time[a-z_]*)":\s*[\d.]+/g, '"$1":0')

function jsonShape(text: string): string {
  try {
    return JSON.stringify(shape(JSON.parse(text)))
  } catch {
    return ''
  }
}

/** Words that say what happened are compared; those that engines make up are not. */
const TOLD: readonly string[] = ['code', 'type', 'status', 'object', 'error', 'reason', 'job_type']

function shape(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return [...new Set(value.map((one) => JSON.stringify(shape(one))))].toSorted()
  if (typeof value !== 'object' || value === null)
    return TOLD.includes(key) && typeof value === 'string' ? told(value) : typeof value
  const entries = Object.entries(value).map(([name, one]) => [name, shape(one, name)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** How a parser words its complaint is its own affair. */
const told = (text: string): string => text.replace(UUID, '*').replace(/\. Error: .*/s, '')

/** Metrics are long, and how a parser words its complaint is its own affair. */
function plain(text: string): string {
  if (/^# (?:HELP|TYPE)/m.test(text)) return 'metrics'
  return text.replace(/(?:key must be|missing field|JSON).*/s, '…').slice(0, 160)
}

/** Families of an exposition that begin so, each with the names of its labels: `name{a,b}`. Quantiles and buckets are left out. */
export function familiesOf(text: string, prefix: string): string[] {
  const found = new Set<string>()
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? /.exec(line)
    if (!match?.[1]?.startsWith(prefix)) continue
    const labels = [...(match[2] ?? '').matchAll(/([a-z_]+)="/g)].map(([, name]) => name as string)
    const own = labels.filter((name) => name !== 'le' && name !== 'quantile')
    const name = match[1].replace(/_(?:bucket|sum|count)$/, '')
    found.add(`${name}{${own.toSorted((one, other) => (one < other ? -1 : 1)).join(',')}}`)
  }
  return [...found].toSorted((one, other) => (one < other ? -1 : 1))
}
