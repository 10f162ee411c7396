// Log lines for people: one event as one line of text.
import type { LogEvent } from '../host.ts'
import { cut, escapeControls, formatJson, showDetails, type LogLevel } from './log.ts'

const COLOURS: Readonly<Record<LogLevel, number>> = { debug: 90, info: 32, warn: 33, error: 31 }

export interface LogOptions {
  readonly format: 'pretty' | 'json'
  /** Epoch ms of the event. */
  readonly at: number
  /** Terminal colours, in `pretty` alone. */
  readonly colour?: boolean
}

/** One event as one line in either format, with what `formatJson` says of secrets, long texts and controls. */
export function formatLog(event: LogEvent, { format, at, colour = false }: LogOptions): string {
  if (format === 'json') return formatJson(event, at)
  const { level, message, ...details } = event
  const label = level.toUpperCase().padEnd(5)
  const head = [
    new Date(at).toISOString(),
    colour ? `\u001b[${COLOURS[level]}m${label}\u001b[39m` : label,
    escapeText(cut(message)),
  ]
  return [...head, ...pairsOf(showDetails(details))].join(' ')
}

/** Details as `key=value`, on one line whatever they hold. */
export function pairsOf(shown: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(shown).map(([key, value]) => `${escapeText(key)}=${prettyValue(value)}`)
}

function prettyValue(value: unknown): string {
  if (typeof value !== 'string') return escapeControls(JSON.stringify(value))
  return /^[^\s"=\\]+$/.test(value) ? escapeText(value) : escapeControls(JSON.stringify(value))
}

/** Backslashes are doubled, so that an escape of ours can't be mistaken for text of theirs. */
export function escapeText(text: string): string {
  return escapeControls(text.replaceAll('\\', '\\\\'))
}
