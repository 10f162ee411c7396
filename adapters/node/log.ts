// Writes log events to stderr, for people or for machines; in place of a router in Python as that writes them, to both outputs.
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import { pythonLogging } from '../../src/dialects/python/log.ts'
import { createLogger, type LogLevel } from '../../src/metrics/log.ts'
import { formatLog } from '../../src/metrics/pretty.ts'
import { keepIn } from './log-file.ts'

/** A logger by `logLevel` and `logFormat`; colours on a terminal only (a thread's own stderr never looks like one). */
export function createLog(
  config: Pick<Config, 'logLevel' | 'logFormat'> & Partial<Pick<Config, 'logDir' | 'dialect'>>,
  write: (line: string, level: LogLevel) => void = outputOf(config),
  isTerminal: boolean = process.stderr.isTTY,
): (event: LogEvent) => void {
  const { logLevel: level, logFormat: format } = config
  const colour = format === 'pretty' && isTerminal && !process.env['NO_COLOR']
  const layOut = pythonLogging(config.dialect)?.layout ?? formatLog
  const rules = (isColoured: boolean) => ({
    level,
    now: Date.now,
    layout: (event: LogEvent, at: number) => layOut(event, { format, at, colour: isColoured }),
  })
  const shown = createLogger({
    ...rules(colour),
    write: (line, severity) => write(`${line}\n`, severity),
  })
  if (config.logDir === undefined) return shown
  const complain = (message: string) => shown({ level: 'error', message })
  const keep = keepIn(config.logDir, config.dialect, { now: Date.now, complain })
  const kept = createLogger({ ...rules(false), write: (line) => keep(`${line}\n`) })
  return (event) => {
    shown(event)
    kept(event)
  }
}

/** Stderr; in place of another router where its scripts read what it logs. */
function outputOf(config: Partial<Pick<Config, 'dialect'>>): (line: string, level: LogLevel) => void {
  const output = pythonLogging(config.dialect)?.output ?? (() => 'stderr' as const)
  return (line, level) => void process[output(level)].write(line)
}

/**
 * The line that tells where a router listens, without its newline: as JSON where logs are, with the URLs as fields too.
 * It is for stdout, whatever the log level: scripts that take a free port (--port 0) read it there.
 */
export function listeningLine(
  { logFormat: format }: Pick<Config, 'logFormat'>,
  url: string,
  adminUrl: string | null,
): string {
  const message = `Listening on ${url}${adminUrl ? `, control plane on ${adminUrl}` : ''}`
  if (format === 'pretty') return message
  return formatLog({ level: 'info', message, url, ...(adminUrl && { adminUrl }) }, { format, at: Date.now() })
}
