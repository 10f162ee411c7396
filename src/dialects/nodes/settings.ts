// What DLRouter and LMDeploy's proxy ask for in the same words: HTTPS by the environment, log levels, checks that remove nodes.
import type { Settings } from '../gateway/translate.ts'
import type { Variables } from '../python/environment.ts'

const LEVELS: Readonly<Record<string, string>> = {
  critical: 'error',
  fatal: 'error',
  warning: 'warn',
  notset: 'debug',
  trace: 'debug',
}

/** A Python log level as ours. */
export const levelOf = (level: string): string => LEVELS[level.toLowerCase()] ?? level.toLowerCase()

/** `--ssl` takes its files from SSL_KEYFILE and SSL_CERTFILE; which is missing is a problem of the variables. */
export function setTls(settings: Settings, variables: Variables): void {
  settings.set('tlsKey', variables.text('SSL_KEYFILE'), 'ssl')
  settings.set('tlsCert', variables.text('SSL_CERTFILE'), 'ssl')
  for (const name of ['SSL_KEYFILE', 'SSL_CERTFILE'])
    if (!variables.has(name)) variables.problems.push(`--ssl needs the variable ${name}`)
}

/** Nodes that fail so many checks in a row leave. Times are seconds. */
export function setChecks(
  settings: Settings,
  {
    interval,
    timeout,
    failures,
  }: { readonly interval: number; readonly timeout: number; readonly failures: number },
): void {
  settings.set('healthInterval', `${interval}s`)
  settings.set('healthTimeout', `${timeout}s`)
  settings.set('healthFailures', failures)
  // There a node that is back is used with the next call: it is tried again soon, not after half a minute.
  settings.set('breakerOpen', '5s')
  settings.set('removeAfter', `${Math.max(1, Math.round(1000 * interval * (failures - 1)))}ms`)
}

/** For the whole of a request to a node, seconds; 0: as long as it takes. */
export function setTimeouts(settings: Settings, seconds: number): void {
  const time = seconds > 0 ? `${seconds}s` : 'off'
  for (const key of ['totalTimeout', 'firstTokenTimeout', 'idleTimeout']) settings.set(key, time)
}
