// The programs of Deno and Bun from outside: arguments, files, signals, exit statuses, and what only a process has.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { createInterface } from 'node:readline'
import { WebSocket, WebSocketServer } from 'ws'
import { binary } from './_foreign.ts'
import { callsOf, chat, CHAT, engine, eventually, W1, WORKERS, type Json } from './_rig.ts'
import { listenAll } from './_sockets.ts'
import type { Engine } from '../../src/simulator/engine.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

/** A way to start a program: the runtime's package and what stands before our own arguments. */
export interface Start {
  readonly name: string
  readonly args: readonly string[]
}

/** A program that runs, or has ended. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<unknown[]>
  url = ''
  errors = ''

  constructor({ name, args }: Start, own: readonly string[], at: { directory: string; env?: object }) {
    const env = { PATH: process.env['PATH'], HOME: at.directory, NO_COLOR: '1', ...at.env }
    this.child = spawn(binary(name), [...args, ...own], { cwd: at.directory, env })
    this.child.stderr!.on('data', (text: Buffer) => (this.errors += String(text)))
    this.ended = once(this.child, 'exit')
  }

  /** Resolves when it says where it listens. */
  async listens(): Promise<this> {
    const line = once(createInterface({ input: this.child.stdout! }), 'line') as Promise<string[]>
    const [text = ''] = await Promise.race([line, this.ended.then(() => assert.fail(this.errors))])
    this.url = /^Listening on (http:\S+?),?(?: |$)/.exec(text)?.[1] ?? assert.fail(text)
    return this
  }

  /** Ends it as an operator does; returns its exit status. */
  async stop(): Promise<unknown> {
    this.child.kill('SIGTERM')
    return (await this.ended)[0]
  }

  async ask(path: string, body?: unknown): Promise<{ status: number; body: Json }> {
    const init = body === undefined ? {} : { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) }
    const response = await fetch(this.url + path, init)
    return { status: response.status, body: await response.json() }
  }
}

/** Registers the tests of one program. */
export function programs(start: Start): void {
  const left = new Set<Running>()
  let directory = ''
  after(async () => {
    for (const one of left) one.child.kill('SIGKILL')
    if (directory !== '') await rm(directory, { recursive: true, force: true })
  })
  const run = async (own: readonly string[], env: object = {}) => {
    if (directory === '') directory = await mkdtemp(join(tmpdir(), `fetchway-${start.name}-`))
    const running = new Running(start, own, { directory, env })
    left.add(running)
    return running
  }
  const open = async (own: readonly string[], env?: object) =>
    (await run(['--port', '0', '--health-interval', 'off', '--log-level', 'error', ...own], env)).listens()

  describe(`${start.name}: the program`, () => {
    it('is configured by flags, environment and a file, and says what is wrong', async () => {
      const url = (await listenAll({ [W1]: engine() })).get(W1)
      const bad = await run(['--policy', 'best'])
      assert.equal((await bad.ended)[0], 2)
      assert.match(bad.errors, /--policy/)
      await writeFile(join(directory, 'fleet.yaml'), `# the fleet\nworkers:\n  - ${url}\nretries: 7\n`)
      const router = await open(['--queue-size', '5'], {
        FETCHWAY_CONFIG: 'fleet.yaml',
        FETCHWAY_GRACE: '9s',
      })
      const { body } = await router.ask('/fetchway/v1/config')
      assert.deepEqual([body.queueSize, body.grace, body.retries], [5, 9000, 7])
      await eventually(
        async () => (await router.ask(CHAT, chat())).status === 200,
        () => router.errors,
      )
      assert.equal(await router.stop(), 0)
    })

    it('ends by SIGTERM: not ready at once, calls still served, streams finished, status 0', async () => {
      const release = Promise.withResolvers<void>()
      const url = (await listenAll({ [W1]: holding(release.promise) })).get(W1)!
      const router = await open([url])
      await eventually(
        async () => (await router.ask('/readyz')).status === 200,
        () => router.errors,
      )
      const post = { headers: JSON_TYPE, method: 'POST' }
      const stream = await fetch(router.url + CHAT, { ...post, body: JSON.stringify(chat({ stream: true })) })
      const ended = router.stop()
      await eventually(
        async () => (await router.ask('/readyz')).status === 503,
        () => 'still ready',
      )
      const late = await fetch(router.url + CHAT, { ...post, body: JSON.stringify(chat()) })
      assert.deepEqual([late.status, late.headers.get('connection')], [200, 'close'])
      await late.text()
      release.resolve()
      assert.match(await stream.text(), /data: \[DONE\]\n\n$/)
      assert.equal(await ended, 0)
      assert.equal(router.errors, '')
    })

    it('tells a stream that outlasts --grace why it ends', async () => {
      const url = (await listenAll({ [W1]: engine() })).get(W1)!
      const router = await open([url, '--grace', '100ms'])
      await eventually(
        async () => (await router.ask('/readyz')).status === 200,
        () => router.errors,
      )
      const headers = { ...JSON_TYPE, 'x-fault': 'slow=100ms' }
      const body = JSON.stringify(chat({ stream: true, max_tokens: 100 }))
      const stream = await fetch(router.url + CHAT, { method: 'POST', headers, body })
      const ended = router.stop()
      assert.match(await stream.text(), /\n\ndata: \{"error":\{.*"code":"total_timeout".*\n\n$/)
      assert.equal(await ended, 0)
    })

    it('keeps workers that were added while it ran', async () => {
      const url = (await listenAll({ [W1]: engine() })).get(W1)!
      const before = await open(['--state', 'kept.json'])
      assert.equal((await before.ask(WORKERS, { url })).status, 201)
      await before.stop()
      const again = await open(['--state', 'kept.json'])
      const { body } = await again.ask(WORKERS)
      assert.deepEqual(
        (body.data as Json[]).map((one) => [one.url, one.source]),
        [[url, 'api']],
      )
      await again.stop()
    })

    it('joins WebSockets: texts and bytes, subprotocol, keys, and the end', async () => {
      const worker = await echo()
      const router = await open(['--worker-api-key', 'sk-worker', '--models', 'ignore', worker.url])
      const socket = new WebSocket(`${router.url.replace('http', 'ws')}/v1/realtime?model=m`, ['a', 'b'])
      const heard: unknown[] = []
      socket.on('message', (data: Buffer, isBinary) => heard.push(isBinary ? [...data] : String(data)))
      await once(socket, 'open')
      assert.equal(socket.protocol, 'a')
      socket.send('text')
      socket.send(new Uint8Array([1, 2]))
      await eventually(
        () => heard.length === 3,
        () => JSON.stringify(heard),
      )
      assert.deepEqual(heard, ['Bearer sk-worker /v1/realtime?model=m', 'text', [1, 2]])
      assert.equal((await router.ask('/fetchway/v1/status')).body.in_flight, 1)
      socket.close(4001, 'enough')
      assert.deepEqual(await worker.closed, [4001, 'enough'])
      await eventually(
        async () => (await router.ask('/fetchway/v1/status')).body.in_flight === 0,
        () => 'its place is not given back',
      )
      await router.stop()
    })

    it('a worker that takes no WebSockets is heard, and is not blamed', async () => {
      const url = (await listenAll({ [W1]: engine() })).get(W1)!
      const router = await open(['--breaker-failures', '2', url])
      await eventually(
        async () => (await router.ask('/readyz')).status === 200,
        () => router.errors,
      )
      for (let i = 0; i < 3; i++) {
        const socket = new WebSocket(`${router.url.replace('http', 'ws')}/v1/realtime?model=m`)
        const [error] = (await once(socket, 'error')) as [Error]
        assert.match(error.message, /404/)
      }
      const { body } = await router.ask('/fetchway/v1/status')
      assert.equal(body.workers[0].breaker, 'closed')
      await eventually(
        async () => (await router.ask('/fetchway/v1/status')).body.in_flight === 0,
        () => 'a place is not given back',
      )
      await router.stop()
    })

    it('dials in by connect, ends by SIGTERM with 0, and with 1 when the router refuses it', async () => {
      const url = (await listenAll({ [W1]: engine() })).get(W1)!
      const router = await open(['--tunnel-token', 'box-token'])
      const connect = ['connect', router.url, '--engine', url, '--name', 'box']
      const stranger = await run([...connect, '--token', 'guess'])
      assert.equal((await stranger.ended)[0], 1)
      assert.match(stranger.errors, /^fetchway: the router refused: the token is not known here$/m)
      const box = await run(connect, { FETCHWAY_TOKEN: 'box-token' })
      await eventually(
        async () => (await router.ask(CHAT, chat())).status === 200,
        () => box.errors,
      )
      assert.equal(await box.stop(), 0)
      assert.equal(await router.stop(), 0)
    })

    it('takes request heads of tens of kilobytes', async () => {
      const router = await open([])
      const headers = { 'x-long': 'x'.repeat(40_000) }
      assert.equal((await fetch(`${router.url}/livez`, { headers })).status, 200)
      await router.stop()
    })

    it('works on hundreds of calls at once', async () => {
      const w1 = engine()
      const url = (await listenAll({ [W1]: w1 })).get(W1)!
      const router = await open([url])
      await eventually(
        async () => (await router.ask('/readyz')).status === 200,
        () => router.errors,
      )
      const leave = new AbortController()
      const headers = { ...JSON_TYPE, 'x-fault': 'stall-before-head' }
      const stalled = { headers, method: 'POST', signal: leave.signal }
      const body = JSON.stringify(chat())
      const calls = Array.from({ length: 400 }, () => fetch(router.url + CHAT, { ...stalled, body }))
      await eventually(
        () => callsOf(w1).length === 400,
        () => `the engine saw ${callsOf(w1).length} calls`,
      )
      leave.abort()
      await Promise.allSettled(calls)
      await router.stop()
    })
  })
}

/** An engine whose streams go on behind their first bytes only when that is here. */
function holding(release: Promise<void>): Engine {
  const plain = engine()
  const transform = async (chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>) => {
    controller.enqueue(chunk)
    await release
  }
  return {
    ...plain,
    async fetch(request) {
      const response = await plain.fetch(request)
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
      if (!isStream || !response.body) return response
      return new Response(response.body.pipeThrough(new TransformStream({ transform })), response)
    },
  }
}

/** A worker that speaks nothing but WebSockets: says who asked for what, then echoes; `closed` is how its client ended. */
async function echo() {
  const server = createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new WebSocketServer({ server })
  const closed = new Promise((resolve) => {
    sockets.on('connection', (socket, request) => {
      socket.send(`${request.headers.authorization} ${request.url}`)
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
      socket.on('close', (code, reason) => resolve([code, String(reason)]))
    })
  })
  after(() => {
    sockets.close()
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, closed }
}
