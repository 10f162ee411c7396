// How a process of the router comes to its end, on every runtime that has signals.
import { constants } from 'node:os'
import type { LogEvent } from '../../src/host.ts'

/** One Ctrl-C may come twice: from the terminal, and passed on by npm, a task runner, or the Node that handed over. Milliseconds. */
const ECHO = 100

/** Ends the process by `stop` at SIGTERM and SIGINT, at once at a second one; errors that nobody caught are logged and end nothing. */
export function endOnSignals(stop: () => Promise<void>, log: (event: LogEvent) => void): void {
  let stoppingSince = 0
  const onSignal = (signal: 'SIGTERM' | 'SIGINT') => {
    if (stoppingSince > 0) {
      if (performance.now() - stoppingSince > ECHO) process.exit(128 + constants.signals[signal])
      return
    }
    stoppingSince = performance.now()
    log({ level: 'info', message: `${signal}: finishing what is in flight; a second signal ends at once` })
    stop()
      .catch((error: unknown) => log({ level: 'error', message: 'Stopping failed', error }))
      .finally(() => process.exit(0))
  }
  process.on('SIGTERM', () => onSignal('SIGTERM'))
  process.on('SIGINT', () => onSignal('SIGINT'))
  process.on('unhandledRejection', (error) =>
    log({ level: 'error', message: 'A promise failed unseen', error }),
  )
  process.on('uncaughtException', (error) =>
    log({ level: 'error', message: 'An error was not caught', error }),
  )
}

/** Waits until nothing is in flight, looking often enough that a short one does not hold up the end. */
export async function untilIdle(inFlight: () => number | Promise<number>, deadline: number): Promise<void> {
  while ((await inFlight()) > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Where the control plane listens by itself: `HOST:PORT`, `:PORT`, `PORT`, or `unix:/path`. Throws for anything else. */
export function adminPlace(
  address: string,
): { readonly socket: string } | { readonly host: string; readonly port: number } {
  if (address.startsWith('unix:')) return { socket: address.slice('unix:'.length) }
  const match = /^(?:(.*):)?(\d{1,5})$/.exec(address)
  if (!match) throw new Error(`adminListen is HOST:PORT, not ${address}`)
  return { host: match[1]?.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1', port: Number(match[2]) }
}
