// Drives the real routers and Fetchway with the same requests against the same engines: `npm run test:compat [-- NAME]`.
// Differences have to be on the reviewed list (reviewed.json), each with the reason why it is there.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { serve } from '../../../adapters/node/http.ts'
import { createEngine } from '../../../src/simulator/engine.ts'
import { differences, type Reply } from './compare.ts'
import { requests, type Asked } from './requests.ts'

type Name = keyof typeof requests

interface Reviewed {
  readonly router: Name
  readonly request: string
  readonly differences: readonly string[]
  readonly reason: string
}

const HERE = new URL('.', import.meta.url).pathname
const ROOT = new URL('../../../', import.meta.url).pathname
const VERSIONS = ['sglang-router==0.3.2', 'vllm-router==0.1.17']
/** What their launchers import, although the routers themselves are compiled code. */
const HELPERS = ['setproctitle', 'aiohttp', 'orjson', 'uvicorn', 'fastapi', 'requests', 'pyyaml']
const PATIENCE = 60_000

const children: ChildProcess[] = []
const say = (line: string) => void process.stdout.write(`${line}\n`)

/** The folder of the routers' programs; installs them where the benches have not. */
function peers(): string {
  const shared = `${ROOT}bench/.peers/venv/bin/`
  if (existsSync(`${shared}vllm-router`)) return shared
  const own = `${HERE}.peers/venv`
  if (!existsSync(`${own}/bin/vllm-router`)) {
    const run = (program: string, argv: string[]) => execFileSync(program, argv, { stdio: 'inherit' })
    run(process.env['PYTHON'] ?? 'python3', ['-m', 'venv', own])
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    run(`${own}/bin/python`, [...pip, '--no-deps', ...VERSIONS])
    run(`${own}/bin/python`, [...pip, ...HELPERS])
  }
  return `${own}/bin/`
}

async function engine(kind: 'sglang' | 'vllm'): Promise<string> {
  const simulated = createEngine({ engine: kind, models: ['m'], speed: 0, seed: 1 })
  return (await serve((request) => simulated.fetch(request))).url
}

function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

async function started(command: readonly string[], engines: readonly string[]): Promise<string> {
  const [port, metrics] = await Promise.all([freePort(), freePort()])
  const [program = '', ...argv] = command
  const own = ['--worker-urls', ...engines, '--host', '127.0.0.1', '--port', String(port)]
  const rest = ['--prometheus-port', String(metrics), '--retry-max-retries', '2', '--log-level', 'error']
  const child = spawn(program, [...argv, ...own, ...rest], { stdio: ['ignore', 'ignore', 'inherit'] })
  children.push(child)
  const url = `http://127.0.0.1:${port}`
  const deadline = performance.now() + PATIENCE
  while (performance.now() < deadline) {
    const ready = await fetch(`${url}/readiness`).then(
      ({ json, ok }) => ok && json,
      () => null,
    )
    const isWhole = ready !== null && ready !== false && (await count(url)) === engines.length
    if (isWhole) return url
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`${program} did not become ready`)
}

async function count(url: string): Promise<number> {
  const { healthy_workers: healthy } = (await (await fetch(`${url}/readiness`)).json()) as {
    healthy_workers?: number
  }
  return healthy ?? 0
}

async function ask(url: string, asked: Asked, names: Readonly<Record<string, string>>): Promise<Reply> {
  const filled = (text: string) =>
    text.replace(/\{([A-Za-z-]+)\}/g, (whole, name: string) => names[name] ?? whole)
  const { method, path, body, headers } = asked
  const text = body === undefined ? null : filled(typeof body === 'string' ? body : JSON.stringify(body))
  const response = await fetch(url + filled(path), {
    method,
    headers: { ...(text !== null && { 'content-type': 'application/json' }), ...headers },
    body: text,
    signal: AbortSignal.timeout(20_000),
  })
  const { status, headers: got } = response
  return {
    status,
    type: got.get('content-type') ?? '',
    text: await response.text(),
    id: got.get('x-request-id'),
  }
}

/** Asks both; what differs, by request. */
async function compared(name: Name, programs: string): Promise<Map<string, string[]>> {
  const kind = name === 'sglang-router' ? 'sglang' : 'vllm'
  const engines = await Promise.all([engine(kind), engine(kind), engine(kind)])
  const [a, b, fresh] = engines
  const names = { A: a, B: b, NEW: fresh, 'A-encoded': encodeURIComponent(a) }
  const python = ['python', '-m', 'sglang_router.launch_router']
  const original =
    name === 'sglang-router' ? [programs + python[0], ...python.slice(1)] : [`${programs}vllm-router`]
  const ours = [process.execPath, `${ROOT}adapters/node.js`, 'as', name, '--defaults', 'release']
  const [theirUrl, ourUrl] = await Promise.all([started(original, [a, b]), started(ours, [a, b])])
  const found = new Map<string, string[]>()
  for (const asked of requests[name]) {
    const [their, our] = [await ask(theirUrl, asked, names), await ask(ourUrl, asked, names)]
    const different = differences(their, our)
    if (different.length > 0) found.set(asked.name, different)
  }
  return found
}

async function main(wanted: readonly string[]): Promise<number> {
  const reviewed = JSON.parse(readFileSync(`${HERE}reviewed.json`, 'utf8')) as Reviewed[]
  const programs = peers()
  let wrong = 0
  for (const name of Object.keys(requests) as Name[]) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const found = await compared(name, programs)
    const known = reviewed.filter(({ router }) => router === name)
    for (const [request, different] of found) {
      const entry = known.find((one) => one.request === request)
      const news = different.filter((line) => !entry?.differences.includes(line.split(':')[0] ?? ''))
      if (news.length === 0) continue
      wrong++
      say(`${name}: ${request}`)
      for (const line of news) say(`  ${line}`)
    }
    for (const { request } of known.filter((one) => !found.has(one.request)))
      say(`${name}: ${request} is alike and still on the reviewed list`)
    say(`${name}: ${requests[name].length} requests, ${found.size} differ, ${known.length} reviewed`)
  }
  return wrong
}

try {
  process.exitCode = (await main(process.argv.slice(2))) > 0 ? 1 : 0
} finally {
  for (const child of children) child.kill('SIGKILL')
  setTimeout(() => process.exit(), 100)
}
