// The Worker of bench/decisions.ts and bench/shards.ts (decisions/entry.ts), served by a raw workerd of its own.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launch } from './routers.ts'
import { freePort } from './setup.ts'
import { serveCommand } from './workerd.ts'

const OBJECTS = {
  REGISTRY: 'FetchwayRegistry',
  POOL: 'BenchPool',
  LIMITER: 'FetchwayLimiter',
  TUNNEL: 'FetchwayTunnel',
  NOTHING: 'Nothing',
}

export interface Decider {
  readonly pid: number
  /** What the Worker answers to the query `wish`; rejects with the end of its log where it fails. */
  ask(wish: string): Promise<string>
  close(): void
}

/** As many workers of one model as `count`; nobody serves at their addresses. */
export const namedWorkers = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    url: `http://127.0.0.1:${10_000 + index}`,
    engine: 'vllm',
    models: ['m'],
  }))

/** The command line of that workerd, with its files in `folder`. Throws where the Worker lacks one of its objects. */
export function deciderCommand(folder: string, port: number, config: object): readonly string[] {
  const entry = join(import.meta.dirname, 'decisions/entry.ts')
  const variables = { FETCHWAY_CONFIG: JSON.stringify(config) }
  return serveCommand({ port, folder, entry, variables, objects: OBJECTS })
}

/** Starts a workerd with that configuration on `core` (null: anywhere), and waits until it decides. */
export async function startDecider(config: object, core: string | null): Promise<Decider> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const log = join(folder, 'log')
  const port = await freePort()
  const child = launch(deciderCommand(folder, port, config), log, core)
  const ask = async (wish: string): Promise<string> => {
    const { status, text } = await asked(`http://127.0.0.1:${port}/?${wish}`)
    if (status !== 200) throw new Error(`${text}\n${readFileSync(log, 'utf8').slice(-2000)}`)
    return text
  }
  const close = () => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await decides(ask)
  } catch (error) {
    close()
    throw error
  }
  return { pid: child.pid as number, ask, close }
}

/** The pool must have asked who its members are. */
async function decides(ask: Decider['ask']): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await ask('calls=1&way=stream&blocks=0&width=1')
      return
    } catch (error) {
      if (attempt > 50) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** Over a connection of its own: workerd closes those that lie idle. Status 0: nobody answered. */
function asked(url: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const fail = (error: unknown) => resolve({ status: 0, text: String(error) })
    const request = get(url, { agent: false }, (answer) => {
      let text = ''
      answer.on('data', (chunk: Buffer) => (text += String(chunk)))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      answer.on('error', fail)
    })
    request.on('error', fail)
  })
}
