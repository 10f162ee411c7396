// What client libraries are tested against: two embedded engines behind the router on real sockets,
// or, with FETCHWAY_URL (and FETCHWAY_MODEL), whatever listens there.
import { createHost } from '../../adapters/node/host.ts'
import { serve } from '../../adapters/node/http.ts'
import { createApp } from '../../src/app.ts'
import { configSchema } from '../../src/config/schema.ts'
import { createEngine } from '../../src/simulator/engine.ts'
import { lived } from '../_lived.ts'

export const MODEL = process.env['FETCHWAY_MODEL'] ?? 'demo-model'
/** `plain` may do all; `slow` is limited to one call a minute. */
export const KEYS = { plain: process.env['FETCHWAY_API_KEY'] ?? 'sk-plain', slow: 'sk-slow' }

export const WEATHER_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Paris', 'Tokyo'] }, days: { type: 'integer', enum: [1, 2] } },
  required: ['city', 'days'],
  additionalProperties: false,
} as const

export const ANSWER_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Paris', 'Tokyo'] }, warm: { type: 'boolean' } },
  required: ['city', 'warm'],
  additionalProperties: false,
} as const

export interface Fleet {
  /** Origin of the router. */
  readonly url: string
  /** Requests that the engines are working on now, by their own metrics. */
  running(): Promise<number>
  /** Waits until the engines work on something. */
  becomesBusy(): Promise<void>
  /** Whether the engines stop working within two seconds, as this process lived them. */
  fallsIdle(): Promise<boolean>
  close(): Promise<void>
}

const foreign = process.env['FETCHWAY_URL']

/** Starts two engines and a router; or points at FETCHWAY_URL. */
export async function startFleet(): Promise<Fleet> {
  if (foreign) return watched(foreign, [foreign], async () => {})
  const engines = await Promise.all([startEngine(), startEngine()])
  const workers = engines.map((engine) => engine.url)
  const keys = [KEYS.plain, { key: KEYS.slow, requestsPerMinute: 1 }]
  const config = configSchema.parse({ workers, apiKeys: keys, state: 'off' })
  const host = createHost(config, () => {})
  const app = createApp(config, host)
  await app.start()
  const router = await serve((request) => app.fetch(request))
  return watched(router.url, workers, async () => {
    await router.close(0)
    await app.close()
    host.close()
    await Promise.all(engines.map((engine) => engine.close(0)))
  })
}
/** Keys and limits of a foreign router are not ours to test. */
startFleet.isForeign = foreign !== undefined
/** A real engine that generates does not embed. */
startFleet.generatesOnly = process.env['FETCHWAY_GENERATES_ONLY'] !== undefined

/** Fast enough for a test, slow enough to be left in the middle of an answer. */
function startEngine() {
  const engine = createEngine({ engine: 'vllm', models: [MODEL], speed: 0.25 })
  return serve((request) => engine.fetch(request))
}

function watched(url: string, engines: readonly string[], close: () => Promise<void>): Fleet {
  const running = async () => {
    let sum = 0
    for (const engine of engines) {
      const text = await (await fetch(`${engine}/metrics`)).text()
      sum += Number(/^vllm:num_requests_running\{[^}]*\} (\S+)$/m.exec(text)?.[1] ?? Number.NaN)
    }
    return sum
  }
  const until = async (wanted: (count: number) => boolean, now: () => number, ms: number) => {
    const end = now() + ms
    while (now() < end) {
      if (wanted(await running())) return true
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return false
  }
  return {
    url,
    running,
    becomesBusy: async () => {
      if (!(await until((count) => count > 0, Date.now, 20_000))) throw new Error('no engine got the call')
    },
    fallsIdle: () => until((count) => count === 0, lived, 2000),
    close,
  }
}

/** A tenth of a second of silence: WAV, 8 kHz, 8 bit, mono. */
export function silence(): Uint8Array<ArrayBuffer> {
  const samples = 800
  const file = new Uint8Array(44 + samples).fill(128)
  const view = new DataView(file.buffer)
  const put = (at: number, word: string) => new TextEncoder().encodeInto(word, file.subarray(at))
  put(0, 'RIFF')
  view.setUint32(4, 36 + samples, true)
  put(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, 8000, true)
  view.setUint32(28, 8000, true)
  view.setUint16(32, 1, true)
  view.setUint16(34, 8, true)
  put(36, 'data')
  view.setUint32(40, samples, true)
  return file
}
