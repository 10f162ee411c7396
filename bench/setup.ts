// What every mode of the benchmark needs: cores, ports, running routers, and a table to print.
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { start, type Router, type Running } from './routers.ts'

/** What the routers stand in front of, and where they run. */
export interface Setup {
  readonly engines: readonly string[]
  readonly folder: string
  /** Core of the routers, or null where processes can't be bound. */
  readonly core: string | null
  readonly random: () => number
}

/** Binds this process to core 1, so that core 0 is the routers'; null where that can't be done. */
export function separateCores(): string | null {
  const isBound =
    availableParallelism() >= 2 && spawnSync('taskset', ['-cpa', '1', String(process.pid)]).status === 0
  if (!isBound) console.error('routers and load share the cores: figures will be rough')
  return isBound ? '0' : null
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Starts every router that can be started; says which can't. */
export async function startAll(setup: Setup, chosen: readonly Router[]): Promise<Running[]> {
  const running: Running[] = []
  for (const router of chosen) {
    const place = {
      port: await freePort(),
      metricsPort: await freePort(),
      workers: setup.engines,
      folder: join(setup.folder, router.name.replaceAll(' ', '-')),
    }
    try {
      running.push(await start(router, place, setup.core))
    } catch (error) {
      console.error(`${router.name}: left out: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return running
}

/** Prints a Markdown table. */
export function table(head: readonly string[], body: readonly (readonly string[])[]): void {
  const widths = head.map((title, at) => Math.max(title.length, ...body.map((line) => line[at]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0))).join(' | ')} |`
  console.log(line(head))
  console.log(
    `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`,
  )
  for (const cells of body) console.log(line(cells))
}
