// `fetchway demo`: a fleet of simulated engines behind the real router, under load, with one engine killed on the way.
import { createServer } from 'node:net'
import { seeded } from '../../src/simulator/clock.ts'
import { load } from '../../src/config/load.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { serveApp, type Running } from '../node/serve.ts'
import type { Status } from './command.ts'
import { ALIAS, MODELS, startFleet, type DemoEngine } from './demo-fleet.ts'
import { Load, pause } from './demo-load.ts'
import { quantile, tableOf, totalsOf } from './demo-table.ts'
import { readOptions, type OptionTable } from './options.ts'

const OPTIONS: OptionTable = {
  port: { kind: 'integer', initial: 8000, about: 'port of the router; another one when it is taken' },
  seconds: { kind: 'number', initial: 15, about: 'how long the load lasts' },
  clients: { kind: 'integer', initial: 12, about: 'clients at the same time' },
  pd: {
    kind: 'choice',
    choices: ['vllm', 'sglang', 'lmdeploy'],
    about: 'two prefill and two decode engines of that kind in place of the mixed fleet',
  },
  once: {
    kind: 'boolean',
    initial: false,
    about: 'end after the table; the status is 1 if a request failed',
  },
}
/** The engine that is killed; another one serves its models, or takes its role. */
const DOOMED = /^lmdeploy-1$|-prefill-1$/

/** How long it waits for a moment at which a death costs nobody a stream, ms: long on a machine that is busy. */
const PATIENCE = 15_000

/** Runs the demo; stays up after the table unless `--once`. */
export async function demo(argv: readonly string[]): Promise<Status> {
  const read = readOptions('demo', OPTIONS, argv)
  if ('status' in read) return read.status
  const wanted = Number(read.options['port'])
  const seconds = Number(read.options['seconds'])
  const engines = await startFleet(read.options['pd'] as Parameters<typeof startFleet>[0])
  const port = await freePort(wanted)
  if (port !== wanted) say(`port ${wanted} is taken, so the router takes ${port}`)
  const router = await startRouter(engines, port)
  say(`router on ${router.url}, in front of ${engines.map(({ name }) => name).join(', ')}`)
  const clients = new Load(router.url, seeded(1), await hasEmbeddings(engines))
  const running = clients.run(Number(read.options['clients']))
  process.once('SIGINT', () => clients.stop())
  const progress = showProgress(clients, seconds)
  await performKill(engines, clients, seconds)
  clients.stop()
  await running
  progress()
  const retries = await countRetries(router.url)
  const prompts = await promptsOf(router.url, engines)
  const failures = [...new Set(clients.seen.flatMap(({ failure }) => failure ?? []))]
  say(`\n${tableOf(clients.seen, engines)}\n\n${totalsOf(clients.seen, retries)}`)
  if (prompts !== '') say(`prompts computed and handed over: ${prompts}`)
  for (const failure of failures.slice(0, 5)) say(`failed: ${failure}`)
  const isGood = failures.length === 0 && clients.seen.length > 0
  if (read.options['once'] === true) {
    await router.stop()
    process.exit(isGood ? 0 : 1) // idle connections of the clients would keep the process
  }
  say(`\nTry it (Ctrl-C ends):\n${curlLine(router.url)}`)
  return null
}

async function startRouter(engines: readonly DemoEngine[], port: number): Promise<Running> {
  const flags = [
    '--port',
    String(port),
    '--alias',
    `${ALIAS.name}=${ALIAS.model}`,
    '--state',
    'off',
    '--log-level',
    'error',
    '--log-format',
    'pretty',
    '--grace',
    '2s',
    '--health-interval',
    '1s',
    '--breaker-open',
    '1s',
  ]
  const loaded = load({ flags: [...engines.flatMap(flagsOf), ...flags] })
  if (loaded.config === null) throw new Error(loaded.issues.map(formatIssue).join('; '))
  return serveApp(loaded.config, () => {})
}

/** A prefill engine of SGLang has its bootstrap server at its own port. */
function flagsOf({ url, role }: DemoEngine): string[] {
  if (role === 'mixed') return [url]
  return role === 'decode' ? ['--decode', url] : ['--prefill', `${url},${new URL(url).port}`]
}

/** What the prefill engines did, of which clients see nothing. */
async function promptsOf(url: string, engines: readonly DemoEngine[]): Promise<string> {
  const names = new Map(engines.map((engine) => [engine.url, engine]))
  const reply = await fetch(`${url}/fetchway/v1/workers`)
  const { data } = (await reply.json()) as { data: { url: string; served: number }[] }
  return data
    .flatMap(({ url: own, served }) => {
      const engine = names.get(own)
      return engine?.role === 'prefill' ? [`${engine.name} ${served}`] : []
    })
    .join(', ')
}

/** Lets the load run for its time; in the middle of it one engine dies with calls in flight, and comes back later. */
async function performKill(engines: readonly DemoEngine[], clients: Load, seconds: number): Promise<void> {
  const doomed = engines.find(({ name }) => DOOMED.test(name))
  const endAt = performance.now() + seconds * 1000
  await pause(seconds * 400)
  clients.holdsStreams = true
  const began = performance.now()
  const isBusy = () => (doomed?.inFlight() ?? 0) >= (performance.now() < began + 1000 ? 2 : 1)
  while (performance.now() < began + PATIENCE && (clients.streams > 0 || !isBusy())) await pause(2)
  if (doomed) {
    note(`${doomed.name} is killed with ${doomed.inFlight()} calls in flight`)
    await doomed.kill()
    clients.holdsStreams = false
    await pause(seconds * 200)
    await doomed.revive()
    note(`${doomed.name} is back`)
  }
  await pause(Math.max(0, endAt - performance.now()))
}

async function hasEmbeddings(engines: readonly DemoEngine[]): Promise<boolean> {
  const engine = engines.find(({ models }) => models.includes(MODELS.embedding))
  if (!engine) return false
  const body = JSON.stringify({ model: MODELS.embedding, input: 'Hello' })
  const headers = { 'content-type': 'application/json' }
  return (await fetch(`${engine.url}/v1/embeddings`, { method: 'POST', headers, body })).ok
}

/** `wanted`, or the next port that is free, or any. */
async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < Math.min(wanted + 20, 65_536); port++) {
    if (await isFree(port)) return port
  }
  return 0
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ host: '127.0.0.1', port }, () => probe.close(() => resolve(true)))
  })
}

/** Shows how it goes, on one line of a terminal or in a line every few seconds; the function returned ends that. */
function showProgress(clients: Load, seconds: number): () => void {
  const isTerminal = process.stdout.isTTY
  const endAt = performance.now() + seconds * 1000
  const tell = () => {
    const first = clients.seen.flatMap(({ firstToken }) => firstToken ?? []).slice(-200)
    const failed = clients.seen.filter(({ failure }) => failure !== null).length
    const left = Math.max(0, Math.ceil((endAt - performance.now()) / 1000))
    const text = `${left} s left · ${clients.inFlight} in flight · ${clients.seen.length} done · ${failed} failed · first token ${quantile(
      first.toSorted((a, b) => a - b),
      0.5,
    )} ms`
    process.stdout.write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`)
  }
  const timer = setInterval(tell, isTerminal ? 200 : 3000)
  return () => {
    clearInterval(timer)
    if (isTerminal) process.stdout.write('\r\x1b[K')
  }
}

/** Retries as the router counts them; null when it does not tell. */
async function countRetries(url: string): Promise<number | null> {
  const text = await fetch(`${url}/metrics`).then(
    (response) => response.text(),
    () => '',
  )
  const counts = [...text.matchAll(/^fetchway_retries_total(?:\{[^}]*\})? (\d+)/gm)].map((match) =>
    Number(match[1]),
  )
  return counts.length === 0 ? null : counts.reduce((a, b) => a + b)
}

function curlLine(url: string): string {
  const body = JSON.stringify({
    model: ALIAS.name,
    stream: true,
    messages: [{ role: 'user', content: 'Hello!' }],
  })
  return `curl -N ${url}/v1/chat/completions -H 'content-type: application/json' -d '${body}'`
}

/** A line between those of the progress. */
function note(text: string): void {
  say(process.stdout.isTTY ? `\r\x1b[K${text}` : text)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
