// Writes log events to stderr, for people or for machines.
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import { createLogger } from '../../src/metrics/log.ts'

/** A logger by `logLevel` and `logFormat`; colours on a terminal only (a thread's own stderr never looks like one). */
export function createLog(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  write: (line: string) => void = (line) => void process.stderr.write(line),
  isTerminal: boolean = process.stderr.isTTY,
): (event: LogEvent) => void {
  const { logLevel: level, logFormat: format } = config
  const colour = format === 'pretty' && isTerminal && !process.env['NO_COLOR']
  return createLogger({ level, format, colour, now: Date.now, write: (line) => write(`${line}\n`) })
}
