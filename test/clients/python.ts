// `npm run test:clients`: Python's client libraries against two engines and a router, each a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pythonOf } from '../_venv.ts'

const HERE = join(import.meta.dirname, 'python')
const ENTRY = join(import.meta.dirname, '../../adapters/node.js')
const MODEL = 'demo-model'
const KEYS = { plain: 'sk-plain', limited: 'sk-limited' }

const children: ChildProcess[] = []
const folder = mkdtempSync(join(tmpdir(), 'fetchway-clients-'))
try {
  process.exitCode = await run(pythonOf(HERE))
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

/** Starts the fleet, runs the checks, and answers with their exit status. */
async function run(python: string): Promise<number> {
  const foreign = process.env['FETCHWAY_URL']
  const fleet = foreign ? {} : await startFleet()
  const checks = spawn(python, [join(HERE, 'run.py')], {
    stdio: 'inherit',
    env: { ...process.env, ...fleet },
  })
  const [code] = (await once(checks, 'exit')) as [number | null]
  return code ?? 1
}

async function startFleet(): Promise<Record<string, string>> {
  const engine = ['engine', '--engine', 'vllm', '--models', MODEL, '--speed', '0.25', '--port', '0']
  const workers = await Promise.all([start(engine), start(engine)])
  const config = join(folder, 'fetchway.yaml')
  const apiKeys = [KEYS.plain, { key: KEYS.limited, requestsPerMinute: 1 }]
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({ workers, apiKeys, batches: true, batchStore: 'memory' }))
  const url = await start(['--port', '0', '--config', config])
  await untilReady(url)
  return {
    FETCHWAY_URL: url,
    FETCHWAY_MODEL: MODEL,
    FETCHWAY_API_KEY: KEYS.plain,
    FETCHWAY_LIMITED_KEY: KEYS.limited,
  }
}

/** Starts one process and resolves with the URL in the line that it prints. */
async function start(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [ENTRY, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let said = ''
  const found = new Promise<string>((resolve, reject) => {
    const listen = (chunk: Buffer) => {
      said += chunk.toString()
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)
      if (url) resolve(url[0])
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    child.on('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}: ${said}`)))
  })
  return await Promise.race([
    found,
    sleep(20_000, undefined, { ref: false }).then(() => Promise.reject(new Error(`no URL: ${said}`))),
  ])
}

/** The router takes calls once it knows the model of a worker. */
async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const models = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${KEYS.plain}` } })
    if ((await models.text()).includes(MODEL)) return
    await sleep(50)
  }
  throw new Error('the router found no model within 5 s')
}
