// Log lines as production-stack's router writes them with Python's logging.
import type { LogEvent } from '../../host.ts'
import { cut, escapeControls, escapeText, pairsOf, showDetails, type LogOptions } from '../../metrics/log.ts'

const LEVELS: Readonly<Record<LogEvent['level'], string>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
}
const COLOURS: Readonly<Record<LogEvent['level'], number>> = { debug: 37, info: 32, warn: 33, error: 31 }
const LOGGER = 'vllm_router'
const FILE = 'router'

/**
 * `[YYYY-MM-DD HH:MM:SS,mmm] LEVEL: message (file:line:logger)` in local time, or JSON with timestamp, level, logger, message,
 * filename and lineno. Details stand behind the message; values that are secret are hidden. Only an event that says `isBlock` may
 * have several lines: nothing that a client sent begins one.
 */
export function formatPythonLog(event: LogEvent, { format, at, colour = false }: LogOptions): string {
  const { level, message, isBlock, ...details } = event
  const shown = showDetails(details)
  const name = LEVELS[level]
  if (format === 'json')
    return escapeControls(
      JSON.stringify({
        // What the event tells can't replace these.
        ...shown,
        timestamp: stamp(at),
        level: name,
        logger: LOGGER,
        message: isBlock === true ? message : cut(message),
        filename: FILE,
        lineno: 0,
      }),
    )
  const text = isBlock === true ? message.split('\n').map(escapeText).join('\n') : escapeText(cut(message))
  const label = colour ? `\u001b[${COLOURS[level]}m${name}\u001b[0m` : name
  return `[${stamp(at)}] ${label}: ${[text, ...pairsOf(shown)].join(' ')} (${FILE}:0:${LOGGER})`
}

/** As `asctime` has it. */
function stamp(at: number): string {
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${time},${String(date.getMilliseconds()).padStart(3, '0')}`
}
