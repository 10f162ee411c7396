// DLRouter's flags of addresses, certificates, files, logs, threads and heartbeats, by what is reached and written.
import type { TestContext } from 'node:test'
import { encode } from '@msgpack/msgpack'
import { createSockets } from '../../../adapters/node/sockets.ts'
import { createTimers } from '../../../adapters/web/timers.ts'
import { dlrouter } from '../../../src/dialects/dlrouter/index.ts'
import { Session } from '../../../src/zmtp/session.ts'
import { engine, eventually } from '../../journeys/_rig.ts'
import { freePort } from '../../journeys/_sockets.ts'
import type { Row } from './_row.ts'
import { addresses, CERT, engineAt, KEY, levelsOf, post, run, spoken, whatIsKept } from './_running.ts'

const QUIET = '--disable_cache_status'
const TLS = `--ssl SSL_KEYFILE=${KEY} SSL_CERTFILE=${CERT}`

export const statusOf = async (url: string) =>
  (await (await fetch(`${url}/nodes/status`)).json()) as Record<string, { models: string[]; role: number }>

/** The levels of what is logged by a line, by a node that is not there. */
const levels = (t: TestContext, line: string) =>
  levelsOf(dlrouter, {
    t,
    line: `${QUIET} ${line}`,
    async provoke(url) {
      const status = { models: ['m'] }
      await (await post(url, '/nodes/add', { url: 'http://127.0.0.1:1', status })).text()
      await (await post(url)).text()
    },
  })

/** Tells a heartbeat to whoever listens there; false: nobody does. */
export async function beat(
  t: TestContext,
  at: { readonly host: string; readonly port: number },
  told: object,
): Promise<boolean> {
  const sockets = createSockets()
  const timers = createTimers()
  t.after(() => (sockets.close(), timers.close()))
  const clock = { now: () => performance.now(), random: Math.random, timer: timers.start }
  try {
    const wire = await sockets.connect(at, new AbortController().signal)
    const session = await Session.open(wire, { type: 'DEALER', clock })
    await session.send([encode(told)])
    return true
  } catch {
    // Nobody listens there.
    return false
  }
}

/** A router that hears heartbeats at an address of this machine, and a node that beats once at another. */
async function beaten(
  t: TestContext,
  line: string,
  at: { readonly host: string; readonly port: number },
): Promise<{ isHeard: () => Promise<boolean>; wasTaken: boolean }> {
  const node = await engineAt(t, engine())
  const { url } = await run(dlrouter, { t, line: `${QUIET} --serving_strategy distserve ${line}` })
  const wasTaken = await beat(t, at, {
    type: 'P',
    http_address: node.replace('http://', ''),
    zmq_address: '127.0.0.1:9',
  })
  return { isHeard: async () => node in (await statusOf(url)), wasTaken }
}

/** Whether it is heard soon: what somebody took may take its time on a busy machine, what nobody took comes to nobody. */
async function soon({ isHeard, wasTaken }: Awaited<ReturnType<typeof beaten>>): Promise<boolean> {
  const end = performance.now() + (wasTaken ? 10_000 : 200)
  while (!(await isHeard()) && performance.now() < end) await new Promise((go) => setTimeout(go, 10))
  return isHeard()
}

export const processes: readonly Row[] = [
  {
    name: '--server_name',
    cases: [
      ['--server_name 127.0.0.1', [true, false]],
      ['--server_name 0.0.0.0', [true, true]],
    ],
    see: async (line, t) => addresses(await run(dlrouter, { t, line: `${QUIET} ${line}` })),
  },
  {
    name: '--server_port',
    cases: [
      ['one', 'one'],
      ['another', 'another'],
    ],
    async see(which, t) {
      const ports = [await freePort(), await freePort()]
      const asked = ports[which === 'one' ? 0 : 1] as number
      const line = `${QUIET} --server_port ${asked}`
      const { url } = await run(dlrouter, { t, line, keepsPort: true })
      const { status } = await fetch(`http://127.0.0.1:${asked}/health`)
      return status === 200 && url.endsWith(`:${asked}`) ? which : url
    },
  },
  {
    name: '--ssl SSL_KEYFILE SSL_CERTFILE',
    cases: [
      ['', [null, 200]],
      [TLS, [200, null]],
    ],
    see: async (line, t) => spoken(await run(dlrouter, { t, line: `${QUIET} ${line}` }), '/health'),
  },
  {
    name: '--log_level',
    cases: [
      ['--log_level INFO', ['INFO', 'WARNING']],
      ['--log_level WARNING', ['WARNING']],
      ['--log_level ERROR', []],
    ],
    see: (line, t) => levels(t, line),
  },
  {
    name: 'UVICORN_LOG_LEVEL',
    cases: [
      ['', ['INFO', 'WARNING']],
      ['UVICORN_LOG_LEVEL=error', []],
      ['UVICORN_LOG_LEVEL=error --log_level INFO', ['INFO', 'WARNING']],
    ],
    see: (line, t) => levels(t, line),
  },
  {
    name: '--disable_cache_status --config_path',
    cases: [
      ['--config_path FILE', ['kept', 'there again']],
      ['--config_path FILE --disable_cache_status', ['not kept', 'not there']],
    ],
    see: (given, t) => whatIsKept(dlrouter, { t, given, node: engine() }),
  },
  {
    name: '--workers',
    cases: [
      ['--workers 1', ['no thread besides', 'one table']],
      ['--workers 2', ['threads', 'one table']],
    ],
    async see(line, t) {
      let threads = 0
      const count = () => void threads++
      process.on('worker', count)
      t.after(() => process.off('worker', count))
      const { url } = await run(dlrouter, { t, line: `${QUIET} ${line}` })
      const node = await engineAt(t, engine())
      await (await post(url, '/nodes/add', { url: node })).text()
      // Connections of their own, so that each thread gets some.
      const tables = await Promise.all(
        Array.from({ length: 24 }, async () => {
          const headers = { connection: 'close' }
          const response = await fetch(`${url}/nodes/status`, { headers })
          return Object.keys((await response.json()) as object).join()
        }),
      )
      const isOne = tables.every((table) => table === node)
      return [threads > 0 ? 'threads' : 'no thread besides', isOne ? 'one table' : tables]
    },
  },
  {
    name: '--zmq_port',
    cases: [
      ['the one', true],
      ['another', false],
    ],
    async see(which, t) {
      const [port, other] = [await freePort(), await freePort()]
      const line = `--backend vllm --zmq_host 127.0.0.1 --zmq_port ${which === 'the one' ? port : other}`
      return soon(await beaten(t, line, { host: '127.0.0.1', port }))
    },
  },
  {
    name: '--zmq_host',
    cases: [
      ['127.0.0.1', true],
      ['127.0.0.2', false],
      ['0.0.0.0', true],
    ],
    async see(host, t) {
      const port = await freePort()
      const line = `--backend vllm --zmq_host ${host} --zmq_port ${port}`
      return soon(await beaten(t, line, { host: '127.0.0.1', port }))
    },
  },
  {
    name: '--zmq_ping_timeout',
    cases: [
      ['--zmq_ping_timeout 2', 'gone'],
      ['--zmq_ping_timeout 30', 'there'],
    ],
    async see(line, t) {
      const port = await freePort()
      const flags = `--backend vllm --zmq_host 127.0.0.1 --zmq_port ${port} ${line}`
      const { isHeard } = await beaten(t, flags, { host: '127.0.0.1', port })
      await eventually(isHeard, () => 'it was never heard')
      const end = performance.now() + (line.endsWith(' 2') ? 20_000 : 3000)
      while ((await isHeard()) && performance.now() < end) await new Promise((go) => setTimeout(go, 50))
      return (await isHeard()) ? 'there' : 'gone'
    },
  },
]
