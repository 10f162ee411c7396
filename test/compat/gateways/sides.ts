// The two routers of a comparison: the original and Fetchway, each before engines of its own that are alike.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { serve } from '../../../adapters/node/http.ts'
import {
  createEngine,
  type Engine,
  type EngineOptions,
  type SeenRequest,
} from '../../../src/simulator/engine.ts'
import type { Reply } from './compare.ts'
import type { Asked } from './requests.ts'
import type { Setting } from './settings.ts'

const HERE = new URL('.', import.meta.url).pathname
const ROOT = new URL('../../../', import.meta.url).pathname
const VERSIONS = ['sglang-router==0.3.2', 'vllm-router==0.1.17']
/** What their launchers import, although the routers themselves are compiled code. */
const HELPERS = ['setproctitle', 'aiohttp', 'orjson', 'uvicorn', 'fastapi', 'requests', 'pyyaml']
const PATIENCE = 60_000
/** Breakers and back-offs would make answers depend on those before. */
const COMMON =
  '--policy round_robin --disable-circuit-breaker --retry-max-retries 2 --retry-initial-backoff-ms 1 --worker-startup-timeout-secs 5 --worker-startup-check-interval 1 --log-level error'

export interface Side {
  readonly url: string
  readonly metricsUrl: string
  readonly engines: readonly Standing[]
  /** What placeholders stand for. */
  readonly names: Map<string, string>
  stop(): void
}

interface Standing {
  readonly engine: Engine
  readonly url: string
  readonly role: EngineOptions['role'] & string
}

/** The folder of the routers' programs; installs them where the benches have not. */
export function peers(): string {
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

/** Starts both for a setting, the original first. */
export async function sidesOf(setting: Setting, programs: string): Promise<readonly [Side, Side]> {
  const { router } = setting
  const original =
    router === 'sglang-router'
      ? [`${programs}python`, '-m', 'sglang_router.launch_router']
      : [`${programs}vllm-router`]
  const ours = [process.execPath, `${ROOT}adapters/node.js`, 'as', router, '--defaults', 'release']
  return Promise.all([started(original, setting), started(ours, setting)])
}

async function started(command: readonly string[], setting: Setting): Promise<Side> {
  const engines = await enginesOf(setting)
  const [port, metrics] = await Promise.all([freePort(), freePort()])
  const [program = '', ...argv] = command
  const own = ['--host', '127.0.0.1', '--port', String(port), '--prometheus-port', String(metrics)]
  const flags = [...COMMON.split(' '), ...workerFlags(setting, engines), ...setting.flags]
  const child = spawn(program, [...argv, ...own, ...flags], { stdio: ['ignore', 'ignore', 'inherit'] })
  process.once('exit', () => child.kill('SIGKILL'))
  const url = `http://127.0.0.1:${port}`
  const [a, b, fresh] = engines
  const names = new Map<string, string>()
  for (const [name, standing] of [
    ['A', a],
    ['B', b],
    ['NEW', fresh],
  ] as const) {
    names.set(name, standing?.url ?? '')
    names.set(`${name}-encoded`, encodeURIComponent(standing?.url ?? ''))
  }
  await ready(url, setting, child)
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metrics}`,
    engines,
    names,
    stop: () => void child.kill('SIGKILL'),
  }
}

async function enginesOf({ router, engines }: Setting): Promise<Standing[]> {
  const kind = router === 'sglang-router' ? 'sglang' : 'vllm'
  const roles =
    engines === 'pairs' ? (['prefill', 'decode'] as const) : (['mixed', 'mixed', 'mixed'] as const)
  const connector = kind === 'vllm' ? ({ connector: 'nixl' } as const) : {}
  return Promise.all(
    roles.map(async (role) => {
      const engine = createEngine({
        engine: kind,
        models: ['m'],
        speed: 0,
        seed: 1,
        role,
        ...connector,
        handoverTimeout: 2000,
      })
      const { url } = await serve((request) => engine.fetch(request))
      return { engine, url, role }
    }),
  )
}

function workerFlags({ router, engines }: Setting, standing: readonly Standing[]): string[] {
  if (engines === 'none') return []
  if (engines === 'two') return ['--worker-urls', ...standing.slice(0, 2).map(({ url }) => url)]
  const [prefill, decode] = standing.map(({ url }) => url) as [string, string]
  const mode = router === 'sglang-router' ? '--pd-disaggregation' : '--vllm-pd-disaggregation'
  return [mode, '--prefill', prefill, new URL(prefill).port, '--decode', decode]
}

/** Waits until it knows all its workers to be well. */
async function ready(url: string, { engines }: Setting, child: ChildProcess): Promise<void> {
  const path = engines === 'none' ? '/liveness' : '/readiness'
  const deadline = performance.now() + PATIENCE
  while (performance.now() < deadline && child.exitCode === null) {
    const told = await fetch(url + path, { signal: AbortSignal.timeout(2000) }).then(
      async (answer) => (answer.ok ? answer.text() : null),
      () => null,
    )
    if (told !== null && (engines === 'none' || countOf(told) === 2)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${child.spawnargs.join(' ')} did not become ready`)
}

interface Readiness {
  readonly healthy_workers?: number
  readonly prefill?: { readonly healthy: number }
  readonly decode?: { readonly healthy: number }
}

function countOf(text: string): number {
  const { healthy_workers: healthy, prefill, decode } = JSON.parse(text) as Readiness
  return healthy ?? (prefill?.healthy ?? 0) + (decode?.healthy ?? 0)
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

/** Asks one side, as often as the request wants; what it keeps of the answer is there for those that follow. */
export async function askSide(side: Side, asked: Asked): Promise<Reply> {
  if (asked.fault !== undefined) await setFault(side, asked.fault)
  for (const { engine } of side.engines) engine.reset()
  const replies = await Promise.all(Array.from({ length: asked.crowd ?? 1 }, () => untilSo(side, asked)))
  if (asked.fault !== undefined) await setFault(side, '')
  const received = side.engines.flatMap(({ engine, role }) =>
    engine
      .seen()
      .requests.filter(isCall)
      .map((seen) => described(seen, role)),
  )
  const statuses = [...new Set(replies.map(({ status }) => status))].toSorted((one, other) => one - other)
  const last = replies.find(({ status }) => status === statuses.at(-1)) as (typeof replies)[number]
  if (asked.keeps !== undefined) keep(side, asked.keeps, last.text)
  return asked.crowd === undefined
    ? { ...last, received: received.toSorted((one, other) => (one < other ? -1 : 1)) }
    : { ...last, text: `${statuses.join(' ')} ${last.text}`, received: [] }
}

async function setFault({ engines }: Side, fault: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ fault })
  for (const { url } of engines) await fetch(`${url}/fault`, { method: 'POST', headers, body })
}

function keep(side: Side, field: string, text: string): void {
  const value = (JSON.parse(text) as Record<string, unknown>)[field]
  if (typeof value === 'string') side.names.set(field, value)
}

async function untilSo(side: Side, asked: Asked): Promise<Omit<Reply, 'received'>> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const reply = await askOnce(side, asked)
    if (!asked.until || asked.until.test(reply.text) || performance.now() > deadline) return reply
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function askOnce(
  { url, names }: Side,
  { method, path, body, headers }: Asked,
): Promise<Omit<Reply, 'received'>> {
  const filled = (text: string) =>
    text.replace(/\{([A-Za-z_-]+)\}/g, (whole, name: string) => names.get(name) ?? whole)
  const text = body === undefined ? null : filled(typeof body === 'string' ? body : JSON.stringify(body))
  const response = await fetch(url + filled(path), {
    method,
    headers: { ...(text !== null && { 'content-type': 'application/json' }), ...headers },
    body: text,
    signal: AbortSignal.timeout(20_000),
  })
  return { status: response.status, headers: response.headers, text: hidden(await response.text(), names) }
}

/** Addresses differ between the sides. */
function hidden(text: string, names: ReadonlyMap<string, string>): string {
  let result = text
  for (const [name, value] of names)
    if (value.startsWith('http')) result = result.replaceAll(value, `{${name}}`)
  return result
}

const isCall = ({ method, path }: SeenRequest): boolean => method !== 'GET' && path !== '/fault'

const CARRIED = ['authorization', 'x-request-id', 'x-smg-routing-key', 'x-data-parallel-rank']
/** What pairs and ranks are made by; what else a router fills in or drops is on the list of its bugs (§10.5). */
const TOLD = /^(?:bootstrap_|kv_|data_parallel|min_tokens)/
/** Ids that routers make, and keys that nobody gave: whether engines see them is the routers' own affair. */
const MADE = /^(?:(?:chatcmpl|cmpl|gnt|resp|req)-[A-Za-z0-9]{24}(?:-\d+)?|___prefill_addr_.*|Bearer ?)$/

/** A call as an engine got it: who, where, the headers that routers are to carry, and the keys that pairs are made by. */
function described({ method, path, headers, body }: SeenRequest, role: string): string {
  const carried = headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name, value]) => CARRIED.includes(name) && !MADE.test(value))
    // The original sends some of them twice.
    .map(([name, value]) => [name, [...new Set(value.split(', '))].join(', ')] as const)
    .map(
      ([name, value]) =>
        `${name}: ${value.replace(/(?:\d+\.){3}\d+:\d+/g, 'HOST').replace(/[0-9a-f]{32}/g, '*')}`,
    )
    .toSorted((one, other) => (one < other ? -1 : 1))
  return `${role} ${method} ${path} [${carried.join(', ')}] ${keysOf(body)}`
}

function keysOf(body: string): string {
  try {
    const entries = Object.entries(JSON.parse(body) as Record<string, unknown>).filter(([key]) =>
      TOLD.test(key),
    )
    const told = entries.map(([key, value]) => `${key}=${kindOf(value)}`)
    return told.toSorted((one, other) => (one < other ? -1 : 1)).join(' ')
  } catch {
    // Not JSON: there is nothing to name.
    return ''
  }
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.length}×${kindOf(value[0])}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.keys(value)
      .toSorted((one, other) => (one < other ? -1 : 1))
      .join(',')}}`
  return typeof value === 'boolean' ? String(value) : typeof value
}
