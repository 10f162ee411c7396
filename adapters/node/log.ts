// Writes log events to stderr, for people or for machines.
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent']

/** A logger by `logLevel` and `logFormat`. JSON has one object a line; pretty has the time, the level, the sentence and `key=value`. */
export function createLog(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  write: (line: string) => void = (line) => void process.stderr.write(line),
): (event: LogEvent) => void {
  const least = LEVELS.indexOf(config.logLevel)
  const format = config.logFormat === 'json' ? asJson : asText
  return (event) => {
    if (LEVELS.indexOf(event.level) >= least) write(`${format(event)}\n`)
  }
}

function asJson({ level, message, ...details }: LogEvent): string {
  return JSON.stringify({ time: new Date().toISOString(), level, message, ...details }, plain)
}

function asText({ level, message, ...details }: LogEvent): string {
  let line = `${new Date().toISOString().slice(11, 23)} ${level.padEnd(5)} ${message}`
  for (const [key, value] of Object.entries(details)) {
    if (value === undefined) continue
    const text = typeof value === 'string' ? value : JSON.stringify(value, plain)
    line += ` ${key}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`
  }
  return line
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Error ? (value.stack ?? value.message) : value
}
