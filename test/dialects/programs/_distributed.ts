// Distributed-LLM-Router's variables and uvicorn's flags, by what they change.
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { distributedLlmRouter } from '../../../src/dialects/distributed-llm-router/index.ts'
import type { Engine } from '../../../src/simulator/engine.ts'
import type { Spoken } from '../../compat/_rig.ts'
import { CHAT, chat, engine, eventually, W1, W2 } from '../../journeys/_rig.ts'
import { freePort } from '../../journeys/_sockets.ts'
import { bodyOf, openBy, pass, routes, send, soFar, type Row } from './_row.ts'
import {
  addresses,
  CERT,
  engineAt,
  folder,
  KEY,
  levelsOf,
  post,
  run,
  spoken,
  throughSocket,
} from './_running.ts'

const TOKEN = 'your-secret-token-here'
const AUTH = { authorization: `Bearer ${TOKEN}` }

const open = (
  t: TestContext,
  line: string,
  fleet: Record<string, Engine | null>,
  more: Partial<Spoken> = {},
) => {
  const nodes = line.includes('VLLM_NODES') ? '' : `VLLM_NODES=${Object.keys(fleet).join(',')}`
  return openBy(distributedLlmRouter, { t, line: `${nodes} ${line}`, fleet, more })
}

/** Statuses of that many chats at once. */
async function crowd(t: TestContext, line: string, calls: number): Promise<number[]> {
  const router = await open(t, line, { [W1]: engine({ fault: 'delay=150ms' }) })
  const replies = await Promise.all(Array.from({ length: calls }, () => send(router, {}, AUTH)))
  return replies.map(({ status }) => status).toSorted((a, b) => a - b)
}

/** Whether a node is said to be healthy so long after it died. */
async function isWellAfter(t: TestContext, line: string, seconds: number): Promise<boolean> {
  const node = engine()
  const router = await open(t, line, { [W1]: node }, { movesClock: true })
  await pass(router, 1)
  node.kill()
  await pass(router, seconds)
  return (await router.ask('/stats')).body.nodes[0].healthy as boolean
}

export const variables: readonly Row[] = [
  {
    name: 'VLLM_NODES',
    cases: [
      [`VLLM_NODES=${W1}`, [W1]],
      [`VLLM_NODES=${W1},${W2}`, [W1, W2]],
      [`VLLM_NODES=["${W1}/","${W2}"]`, [W1, W2]],
    ],
    async see(line, t) {
      const router = await open(t, line, { [W1]: engine(), [W2]: engine() })
      return (await router.ask('/stats')).body.nodes.map(({ url }: { url: string }) => url).toSorted()
    },
  },
  {
    name: 'ROUTING_STRATEGY',
    cases: [
      ['', [0, 0, 0, 0]],
      ['ROUTING_STRATEGY=least_loaded', [0, 0, 0, 0]],
      ['ROUTING_STRATEGY=latency_based', [0, 1, 1, 1]],
      ['ROUTING_STRATEGY=round_robin', [0, 1, 0, 1]],
    ],
    async see(line, t) {
      const slow = engine({ speed: 1, prefillTokensPerSecond: 60 })
      const fleet = { [W1]: slow, [W2]: engine() }
      const router = await open(t, line, fleet)
      const bodies = Array.from({ length: 4 }, () => ({ max_tokens: 1 }))
      return routes(router, Object.values(fleet), bodies, AUTH)
    },
  },
  {
    name: 'NODE_TIMEOUT_SECONDS',
    cases: [
      ['NODE_TIMEOUT_SECONDS=2', 504],
      ['NODE_TIMEOUT_SECONDS=60', 'waiting'],
    ],
    async see(line, t) {
      const fleet = { [W1]: engine({ fault: 'stall-before-head' }) }
      const router = await open(t, `${line} MAX_RETRIES=0`, fleet, { movesClock: true })
      const reply = send(router, {}, AUTH)
      reply.catch(() => undefined)
      await pass(router, 3)
      return soFar(reply)
    },
  },
  {
    name: 'MAX_RETRIES',
    cases: [
      ['MAX_RETRIES=0', 500],
      ['MAX_RETRIES=1', 200],
    ],
    async see(line, t) {
      const router = await open(t, line, { [W1]: engine({ fault: 'status=500' }), [W2]: engine() })
      return (await send(router, {}, AUTH)).status
    },
  },
  {
    name: 'HEALTH_CHECK_INTERVAL_SECONDS',
    cases: [
      ['HEALTH_CHECK_INTERVAL_SECONDS=3', false],
      ['HEALTH_CHECK_INTERVAL_SECONDS=60', true],
    ],
    see: (line, t) => isWellAfter(t, `HEALTH_FAILURE_THRESHOLD=1 ${line}`, 10),
  },
  {
    name: 'HEALTH_FAILURE_THRESHOLD',
    cases: [
      ['HEALTH_FAILURE_THRESHOLD=1', false],
      ['HEALTH_FAILURE_THRESHOLD=9', true],
    ],
    see: (line, t) => isWellAfter(t, `HEALTH_CHECK_INTERVAL_SECONDS=5 ${line}`, 12),
  },
  {
    name: 'AUTH_TOKEN',
    cases: [
      ['', [200, 401]],
      ['AUTH_TOKEN=else', [401, 200]],
    ],
    async see(line, t) {
      const router = await open(t, line, { [W1]: engine() })
      const other = { authorization: 'Bearer else' }
      return [(await send(router, {}, AUTH)).status, (await send(router, {}, other)).status]
    },
  },
  {
    name: 'MODEL_NAME',
    cases: [
      ['', ['mistralai/Mistral-7B-Instruct-v0.3', 'mistralai/Mistral-7B-Instruct-v0.3']],
      ['MODEL_NAME=m', ['m', 'm']],
    ],
    async see(line, t) {
      const node = engine()
      const router = await open(t, line, { [W1]: node })
      await router.post(CHAT, { messages: chat().messages }, AUTH)
      return [(await router.ask('/health')).body.model, bodyOf(node).model]
    },
  },
  {
    name: 'MAX_CONCURRENT_REQUESTS',
    cases: [
      ['MAX_CONCURRENT_REQUESTS=1', [200, 429, 429]],
      ['MAX_CONCURRENT_REQUESTS=2', [200, 200, 429]],
    ],
    see: (line, t) => crowd(t, `MAX_QUEUE_SIZE=0 ${line}`, 3),
  },
  {
    name: 'MAX_QUEUE_SIZE',
    cases: [
      ['MAX_QUEUE_SIZE=0', [200, 429, 429]],
      ['MAX_QUEUE_SIZE=1', [200, 200, 429]],
    ],
    see: (line, t) => crowd(t, `MAX_CONCURRENT_REQUESTS=1 ${line}`, 3),
  },
]

const NOWHERE = 'VLLM_NODES=http://127.0.0.1:1'

/** The levels of what is logged by a line, by a node that is not there. */
const levels = (t: TestContext, line: string) =>
  levelsOf(distributedLlmRouter, {
    t,
    line: `${NOWHERE} MAX_RETRIES=0 ${line}`,
    provoke: async (url) => (await post(url, CHAT, chat(), AUTH)).text(),
  })

/** A server that takes connections and ends no handshake. */
async function mute(t: TestContext): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    t.after(() => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export const processes: readonly Row[] = [
  {
    name: 'CONNECT_TIMEOUT_SECONDS',
    cases: [
      ['CONNECT_TIMEOUT_SECONDS=0.1', 504],
      ['CONNECT_TIMEOUT_SECONDS=30', 'waiting'],
    ],
    async see(line, t) {
      const { url } = await run(distributedLlmRouter, {
        t,
        line: `VLLM_NODES=${await mute(t)} MAX_RETRIES=0 ${line}`,
      })
      const leaving = new AbortController()
      const headers = { ...AUTH, 'content-type': 'application/json' }
      const init = { method: 'POST', headers, body: JSON.stringify(chat()), signal: leaving.signal }
      const answer = fetch(url + CHAT, init).then(
        ({ status }) => status,
        () => 'left',
      )
      const patience = line.endsWith('=30') ? 400 : 20_000
      const late = new Promise((resolve) => setTimeout(() => resolve('waiting'), patience))
      const got = await Promise.race([answer, late])
      leaving.abort()
      return got
    },
  },
  {
    name: '--host',
    cases: [
      ['--host 127.0.0.1', [true, false]],
      ['--host 0.0.0.0', [true, true]],
    ],
    see: async (line, t) => addresses(await run(distributedLlmRouter, { t, line: `${NOWHERE} ${line}` })),
  },
  {
    name: '--port GATEWAY_PORT',
    cases: [
      ['GATEWAY_PORT=ONE', [true, false]],
      ['GATEWAY_PORT=ONE --port TWO', [false, true]],
    ],
    async see(given, t) {
      const ports = [await freePort(), await freePort()]
      const line = given.replace('ONE', String(ports[0])).replace('TWO', String(ports[1]))
      await run(distributedLlmRouter, { t, line: `${NOWHERE} ${line}`, keepsPort: true })
      return Promise.all(
        ports.map((port) =>
          fetch(`http://127.0.0.1:${port}/health`).then(
            ({ ok }) => ok,
            () => false,
          ),
        ),
      )
    },
  },
  {
    name: '--uds',
    cases: [
      ['', null],
      ['--uds SOCKET', 200],
    ],
    async see(given, t) {
      const socket = join(await folder(t), 'router.sock')
      await run(distributedLlmRouter, { t, line: `${NOWHERE} ${given.replace('SOCKET', socket)}` })
      return throughSocket(socket, '/health')
    },
  },
  {
    name: '--workers',
    cases: [
      ['--workers 1', ['no thread besides', 24]],
      ['--workers 2', ['threads', 24]],
    ],
    async see(line, t) {
      let threads = 0
      const count = () => void threads++
      process.on('worker', count)
      t.after(() => process.off('worker', count))
      const node = await engineAt(t, engine())
      const { url } = await run(distributedLlmRouter, { t, line: `VLLM_NODES=${node} ${line}` })
      const headers = { ...AUTH, connection: 'close' }
      await Promise.all(
        Array.from({ length: 24 }, async () => (await post(url, CHAT, chat(), headers)).text()),
      )
      // Whichever thread is asked, the metrics are those of all.
      let sum = 0
      await eventually(
        async () => {
          const page = await (await fetch(`${url}/metrics`)).text()
          sum = Number(/^requests_total\{status="success".*\} (\S+)$/m.exec(page)?.[1])
          return sum >= 24
        },
        () => `${sum} calls are counted`,
      )
      return [threads > 0 ? 'threads' : 'no thread besides', sum]
    },
  },
  {
    name: '--log-level',
    cases: [
      ['--log-level info', ['INFO', 'WARNING']],
      ['--log-level warning', ['WARNING']],
      ['--log-level critical', []],
    ],
    see: (line, t) => levels(t, line),
  },
  {
    name: 'LOG_LEVEL',
    cases: [
      ['LOG_LEVEL=INFO', ['INFO', 'WARNING']],
      ['LOG_LEVEL=WARNING', ['WARNING']],
    ],
    see: (line, t) => levels(t, line),
  },
  {
    name: '--ssl-keyfile --ssl-certfile',
    cases: [
      ['', [null, 200]],
      [`--ssl-keyfile ${KEY} --ssl-certfile ${CERT}`, [200, null]],
    ],
    see: async (line, t) =>
      spoken(await run(distributedLlmRouter, { t, line: `${NOWHERE} ${line}` }), '/health'),
  },
  {
    name: '--timeout-graceful-shutdown',
    cases: [
      ['--timeout-graceful-shutdown 0', 'cut'],
      ['--timeout-graceful-shutdown 20', 'whole'],
    ],
    async see(line, t) {
      // Where it is to be cut it must last until the router was told to end.
      const delay = line.endsWith(' 0') ? '5s' : '700ms'
      const node = await engineAt(t, engine({ fault: `delay=${delay}` }))
      const running = await run(distributedLlmRouter, { t, line: `VLLM_NODES=${node} ${line}` })
      const answer = post(running.url, CHAT, chat(), AUTH).then(
        ({ status }) => (status === 200 ? 'whole' : 'cut'),
        () => 'cut',
      )
      const live = async () =>
        ((await (await fetch(`${running.url}/stats`)).json()) as { active_requests: number }).active_requests
      await eventually(
        async () => (await live()) === 1,
        () => 'the call did not begin',
      )
      await running.stop()
      return answer
    },
  },
  {
    name: '--env-file',
    cases: [
      ['', 'least_loaded'],
      ['--env-file some.env', 'round_robin'],
    ],
    async see(line, t) {
      const files = { 'some.env': 'ROUTING_STRATEGY=round_robin\n' }
      const { url } = await run(distributedLlmRouter, { t, line: `${NOWHERE} ${line}`, files })
      return ((await (await fetch(`${url}/health`)).json()) as Record<string, unknown>)['routing_strategy']
    },
  },
]
