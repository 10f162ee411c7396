// What a Deno or Bun process tells of itself, for /metrics.
import process from 'node:process'
import type { Host } from '../../src/host.ts'

/** Neither runtime measures its event loop's delay, so that is left out. */
export const readings: NonNullable<Host['process']> = {
  residentBytes: () => process.memoryUsage().rss,
  cpuSeconds: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  },
}
