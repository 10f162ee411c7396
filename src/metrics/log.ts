// Log lines: a level filter, and one event as one line of JSON that holds no secret and no prompt.
import type { LogEvent } from '../host.ts'

export type LogLevel = LogEvent['level']

const RANKS: Readonly<Record<LogLevel | 'silent', number>> = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
  silent: 4,
}
const LONGEST_TEXT = 2000
const DEEPEST = 4
const MOST_ENTRIES = 50
const HIDDEN = '[hidden]'

/** Names of values that are never shown, in lower case without `_` and `-`. */
const SECRET = new Set([
  'authorization',
  'proxyauthorization',
  'cookie',
  'setcookie',
  'apikey',
  'apikeys',
  'xapikey',
  'adminkey',
  'workerapikey',
  'password',
  'secret',
  'clientsecret',
  'token',
  'accesstoken',
  'refreshtoken',
  'cfaccessclientsecret',
  'prompt',
  'prompts',
  'messages',
  'content',
  'input',
  'inputids',
  'documents',
  'text',
  'completion',
  'body',
  'requestbody',
  'responsebody',
  'headers',
])

export interface LoggerOptions {
  readonly level: LogLevel | 'silent'
  /** Takes one line without a newline. */
  readonly write: (line: string, level: LogLevel) => void
  /** Epoch ms. */
  readonly now: () => number
  /** How an event is written; default: as JSON. `at`: epoch ms. */
  readonly layout?: (event: LogEvent, at: number) => string
}

/** A function for `Host.log`: drops what is below the level, writes the rest. Never throws because of an event. */
export function createLogger({
  level,
  write,
  now,
  layout = formatJson,
}: LoggerOptions): (event: LogEvent) => void {
  const least = RANKS[level]
  return (event) => {
    if (RANKS[event.level] >= least) write(layout(event, now()), event.level)
  }
}

/**
 * One event as one line: time (ISO), level, message, then the details. Values under the names of secrets, prompts and
 * bodies are `[hidden]`; long texts are cut; control characters (newlines too) are escaped, so that no value can
 * begin a line or steer a terminal. `at`: epoch ms.
 */
export function formatJson({ level, message, ...details }: LogEvent, at: number): string {
  // An event can't replace the time either: ours comes first and theirs is renamed.
  const { time: theirs, ...rest } = showDetails(details)
  const line = {
    time: new Date(at).toISOString(),
    level,
    message: cut(message),
    ...rest,
    ...(theirs !== undefined && { event_time: theirs }),
  }
  return escapeControls(JSON.stringify(line))
}

/** The details of an event as they may be shown: secrets hidden, long texts cut. */
export function showDetails(details: object): Record<string, unknown> {
  return showEntries(details, 0)
}

function showEntries(value: object, depth: number): Record<string, unknown> {
  const entries: [string, unknown][] = []
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined || entry === '') continue
    if (entries.length === MOST_ENTRIES) break
    entries.push([cut(key), isSecret(key) ? HIDDEN : show(entry, depth + 1)])
  }
  return Object.fromEntries(entries)
}

/** A value as JSON can hold it, bounded in depth and size. */
function show(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cut(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'boolean' || value === null) return value
  if (value instanceof Error) return cut(value.stack ?? value.message)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object') return `[${typeof value}]`
  if (depth > DEEPEST) return '[…]'
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (Array.isArray(value)) return value.slice(0, MOST_ENTRIES).map((entry) => show(entry, depth + 1))
  return showEntries(value, depth)
}

function isSecret(name: string): boolean {
  return SECRET.has(name.replace(/[-_]/g, '').toLowerCase())
}

/** A text as long as a line may hold, and how long it was. */
export function cut(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}… (${text.length} characters)`
}

/** C0 and C1 controls, line separators and the marks that turn the direction of text become `\u…`. */
export function escapeControls(text: string): string {
  return text.replace(
    // oxlint-disable-next-line no-control-regex -- controls are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
