// Workers as child processes beside the router: started, waited for, and ended with it.
import { spawn, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import type { Launch } from '../../src/dialects/dialect.ts'

/** Between two looks at a worker that comes up, ms. */
const LOOK = 250
/** How long workers may take to end before they are killed, ms. */
const FAREWELL = 10_000

export interface Launched {
  readonly urls: readonly string[]
  /** Ends all of them, with what they started. */
  stop(): void
}

/**
 * Starts the workers, each on a port and GPUs of its own, and waits until all of them answer /health. Rejects where one ends
 * or does not come up; the others are ended then. All are told to end when this process does.
 */
export async function launchWorkers(launch: Launch): Promise<Launched> {
  const ports = await freePorts(launch)
  const children = ports.map((port, rank) => start(launch, port, rank))
  const stop = () => {
    for (const child of children) end(child)
  }
  process.once('exit', () => {
    for (const child of children) kill(child, 'SIGTERM')
  })
  try {
    await Promise.all(children.map((child, rank) => isUp(child, launch, ports[rank] as number)))
  } catch (error) {
    stop()
    throw error
  }
  return { urls: ports.map((port) => `http://${launch.host}:${port}`), stop }
}

/** In a group of its own: what a worker starts ends with it, and Ctrl-C reaches the router first. */
function start({ command, argv, host, gpusEach }: Launch, port: number, rank: number): ChildProcess {
  const [program = '', ...first] = command
  const own = [
    '--host',
    host,
    '--port',
    String(port),
    '--dp-size',
    '1',
    '--base-gpu-id',
    String(rank * gpusEach),
  ]
  return spawn(program, [...first, ...argv, ...own], {
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, SGLANG_DP_RANK: String(rank) },
  })
}

async function isUp(child: ChildProcess, { host, seconds }: Launch, port: number): Promise<void> {
  let problem: string | null = null
  child.once('error', (error) => (problem = error.message))
  child.once('exit', (status, signal) => (problem = `it ended (${status ?? signal})`))
  const until = performance.now() + seconds * 1000
  for (;;) {
    if (problem !== null) throw new Error(`the worker for port ${port} did not start: ${String(problem)}`)
    if (performance.now() > until)
      throw new Error(`the worker on port ${port} did not come up within ${seconds} s`)
    if (await answers(`http://${host}:${port}/health`)) return
    await new Promise((resolve) => setTimeout(resolve, LOOK))
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const { ok, body } = await fetch(url, { signal: AbortSignal.timeout(5000) })
    await body?.cancel()
    return ok
  } catch {
    // Not yet.
    return false
  }
}

function end(child: ChildProcess): void {
  kill(child, 'SIGTERM')
  setTimeout(() => kill(child, 'SIGKILL'), FAREWELL).unref()
}

function kill({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch {
    // It is gone already.
  }
}

/** The first free ports from the base on. */
async function freePorts({ basePort, count, host }: Launch): Promise<number[]> {
  const ports: number[] = []
  for (let port = basePort; ports.length < count && port < 65_536; port++)
    if (await isFree(host, port)) ports.push(port)
  if (ports.length < count) throw new Error(`there are no ${count} free ports from ${basePort} on`)
  return ports
}

function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ host, port }, () => server.close(() => resolve(true)))
  })
}
