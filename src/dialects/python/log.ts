// Log lines as the routers in Python write them with its logging.
import type { LogEvent } from '../../host.ts'
import { cut, escapeControls, showDetails, type LogLevel } from '../../metrics/log.ts'
import { escapeText, formatLog, pairsOf, type LogOptions } from '../../metrics/pretty.ts'

const LEVELS: Readonly<Record<LogLevel, string>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
}
const COLOURS: Readonly<Record<LogLevel, number>> = { debug: 37, info: 32, warn: 33, error: 31 }
const LOGGER = 'vllm_router'
const FILE = 'router'

interface Line {
  readonly level: string
  readonly text: string
  readonly at: number
}

/** How a program logs. */
interface Logging {
  line(line: Line): string
  /** Where a level goes. */
  output(level: LogLevel): 'stdout' | 'stderr'
  /** It writes JSON in its own form. */
  readonly json?: (event: LogEvent, at: number) => string
}

const isBad = (level: LogLevel): boolean => level === 'warn' || level === 'error'

const PROGRAMS: Readonly<Record<string, Logging>> = {
  'production-stack': {
    line: ({ level, text, at }) => `[${stamp(at)}] ${level}: ${text} (${FILE}:0:${LOGGER})`,
    output: (level) => (isBad(level) ? 'stderr' : 'stdout'),
    json: jsonLine,
  },
  dlrouter: {
    line: ({ level, text, at }) => `[${stamp(at).slice(0, -4)}] [${level}] [dlrouter.router] ${text}`,
    output: () => 'stdout',
  },
  'lmdeploy-proxy': {
    line: ({ level, text, at }) => `${stamp(at)} - lmdeploy - ${level} - proxy.py:0 - ${text}`,
    output: () => 'stdout',
  },
  'distributed-llm-router': {
    line: ({ level, text, at }) => `${stamp(at)} ${level} gateway ${text}`,
    output: () => 'stderr',
  },
}

/** How the program that is stood in for logs; undefined: as natively. */
export function pythonLogging(dialect: string | undefined):
  | {
      layout(event: LogEvent, options: LogOptions): string
      output(level: LogLevel): 'stdout' | 'stderr'
    }
  | undefined {
  const program = dialect === undefined ? undefined : PROGRAMS[dialect]
  return program && { layout: (event, options) => layOut(program, event, options), output: program.output }
}

/**
 * One line in local time, or JSON. Details stand behind the message; values that are secret are hidden. Only an event that says
 * `isBlock` may have several lines: nothing that a client sent begins one.
 */
function layOut({ line, json }: Logging, event: LogEvent, options: LogOptions): string {
  const { format, at, colour = false } = options
  const { level, message, isBlock, ...details } = event
  if (format === 'json') return json ? json(event, at) : formatLog(event, options)
  const text = isBlock === true ? message.split('\n').map(escapeText).join('\n') : escapeText(cut(message))
  const name = LEVELS[level]
  return line({
    level: colour ? `\u001b[${COLOURS[level]}m${name}\u001b[0m` : name,
    text: [text, ...pairsOf(showDetails(details))].join(' '),
    at,
  })
}

/** Timestamp, level, logger, message, filename and lineno, behind what the event tells. */
function jsonLine({ level, message, isBlock, ...details }: LogEvent, at: number): string {
  return escapeControls(
    JSON.stringify({
      // What the event tells can't replace these.
      ...showDetails(details),
      timestamp: stamp(at),
      level: LEVELS[level],
      logger: LOGGER,
      message: isBlock === true ? message : cut(message),
      filename: FILE,
      lineno: 0,
    }),
  )
}

/** As `asctime` has it. */
function stamp(at: number): string {
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${time},${String(date.getMilliseconds()).padStart(3, '0')}`
}
