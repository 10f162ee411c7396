// Two real vLLM servers, each able to serve alone, to compute prompts for the other, and to publish what its KV cache holds.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../journeys/_sockets.ts'
import { install, type Installed } from './install.ts'

/** Weights are small, but Python's imports are not: minutes on a busy machine. */
const START_TIME = 600_000
export const BLOCK = 32
export const MODEL = 'tiny'

export interface RealEngine {
  readonly url: string
  /** Where its KV events go (it connects there: a vLLM that listens does so for all of the network), and where missed ones are had. */
  readonly events: string
  readonly replay: string
  /** Sum of a metric over its series whose labels hold the text. */
  metric(name: string, labels?: string): Promise<number>
  stop(): Promise<void>
}

interface Ports {
  readonly http: number
  readonly events: number
  readonly replay: number
  readonly side: number
}

/** Starts so many, one after the other; or takes those that `FETCHWAY_VLLM_RUNNING=PORT,PORT` names (events at +1000, replay +2000). */
export async function startEngines(count: number): Promise<RealEngine[]> {
  const running = process.env['FETCHWAY_VLLM_RUNNING']?.split(',').map(Number)
  if (running)
    return running.map((http) =>
      engineAt({ http, events: http + 1000, replay: http + 2000, side: http + 3000 }),
    )
  const installed = install()
  const engines: RealEngine[] = []
  try {
    while (engines.length < count) engines.push(await start(installed))
  } catch (error) {
    await Promise.all(engines.map((engine) => engine.stop()))
    throw error
  }
  return engines
}

async function start({ vllm, models }: Installed): Promise<RealEngine> {
  const [http, events, replay, side] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const ports = { http, events, replay, side }
  const child = spawn(vllm, argumentsOf(ports), {
    cwd: models,
    env: environmentOf(ports),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log = join(tmpdir(), `fetchway-vllm-${http}.log`)
  const file = createWriteStream(log)
  child.stdout.pipe(file)
  child.stderr.pipe(file)
  const engine = engineAt(ports, child)
  const end = Date.now() + START_TIME
  while (!(await isUp(engine.url))) {
    if (child.exitCode !== null) throw new Error(`vLLM ended with status ${child.exitCode}: see ${log}`)
    if (Date.now() > end) {
      await engine.stop()
      throw new Error(`vLLM did not come up in ${START_TIME / 1000} s: see ${log}`)
    }
    await sleep(1000)
  }
  return engine
}

function argumentsOf({ http, events, replay }: Ports): string[] {
  const transfer = { kv_connector: 'NixlConnector', kv_role: 'kv_both', kv_buffer_device: 'cpu' }
  const publishing = {
    enable_kv_cache_events: true,
    publisher: 'zmq',
    endpoint: `tcp://127.0.0.1:${events}`,
    replay_endpoint: `tcp://127.0.0.1:${replay}`,
  }
  const flags = {
    'served-model-name': MODEL,
    host: '127.0.0.1',
    port: http,
    dtype: 'float32',
    'max-model-len': 2048,
    'max-num-seqs': 16,
    'block-size': BLOCK,
    'kv-transfer-config': JSON.stringify(transfer),
    'kv-events-config': JSON.stringify(publishing),
  }
  return [
    'serve',
    `./${MODEL}`,
    '--enforce-eager',
    '--enable-request-id-headers',
    '--enable-prompt-tokens-details',
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
  ]
}

/** KV goes over TCP on this machine; nothing is fetched, and nothing told to anybody. */
function environmentOf({ side }: Ports): NodeJS.ProcessEnv {
  const { PYTHONDONTWRITEBYTECODE: _, ...rest } = process.env
  return {
    ...rest,
    VLLM_CPU_KVCACHE_SPACE: '1',
    VLLM_NIXL_SIDE_CHANNEL_HOST: '127.0.0.1',
    VLLM_NIXL_SIDE_CHANNEL_PORT: String(side),
    UCX_TLS: 'tcp,self',
    UCX_NET_DEVICES: 'lo',
    HF_HUB_OFFLINE: '1',
    TRANSFORMERS_OFFLINE: '1',
    VLLM_NO_USAGE_STATS: '1',
    DO_NOT_TRACK: '1',
  }
}

function engineAt({ http, events, replay }: Ports, child: ChildProcess | null = null): RealEngine {
  const url = `http://127.0.0.1:${http}`
  return {
    url,
    events: `@tcp://127.0.0.1:${events}`,
    replay: `tcp://127.0.0.1:${replay}`,
    async metric(name, labels = '') {
      const text = await (await fetch(`${url}/metrics`)).text()
      const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
    },
    async stop() {
      if (child === null || child.exitCode !== null) return
      child.kill('SIGTERM')
      await Promise.race([once(child, 'exit'), sleep(20_000).then(() => child.kill('SIGKILL'))])
    },
  }
}

const isUp = (url: string): Promise<boolean> =>
  fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  )
