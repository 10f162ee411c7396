// What runtimes can't do, each shown on the bare runtime without a line of ours, so that we hear when a gap closes.
// The table of them is in the README; the flags are those of the journeys.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { Miniflare } from 'miniflare'
import { binary } from '../journeys/_foreign.ts'
import { freePort } from '../journeys/_sockets.ts'
import { root } from '../package/_run.ts'

const closing: Array<() => unknown> = []
after(() => Promise.all(closing.map((close) => close())))

const workerd = new Miniflare({
  cf: false,
  name: 'bare',
  modules: true,
  script: readFileSync(new URL('workerd.js', import.meta.url), 'utf8'),
  compatibilityDate: '2026-07-30',
  compatibilityFlags: ['enable_request_signal'],
  unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
})
closing.push(() => workerd.dispose())
await workerd.ready
const { origin } = await workerd.unsafeGetDirectURL('bare')

const ask = (path: string, engine: string, signal?: AbortSignal): Promise<Response> =>
  fetch(`${origin}${path}?engine=${encodeURIComponent(engine)}`, signal ? { signal } : {})

async function urlOf(server: Pick<Server, 'listen' | 'once' | 'address' | 'close'>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', () => resolve(null)))
  closing.push(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

test('early-leave: workerd does not tell of a client that leaves before the answer has begun', async () => {
  const leave = new AbortController()
  const url = await urlOf(
    createServer((_, response) => {
      leave.abort()
      setTimeout(() => response.end('in the end'), 200)
    }),
  )
  await assert.rejects(ask('/wait', url, leave.signal))
  let told: string[] = []
  while (told.length === 0) told = (await (await fetch(`${origin}/told`)).json()) as string[]
  assert.deepEqual(told, ['the engine answered in the end'])
})

test('early-leave: the own server of Deno does not tell of a client that leaves behind a body of some hundred bytes', async () => {
  const script = `
    let told = 0
    Deno.serve({ hostname: '127.0.0.1', port: 0, onListen: ({ port }) => console.log(port) }, async (request) => {
      if (request.method === 'GET') return new Response(String(told))
      request.signal.addEventListener('abort', () => told++)
      await request.text()
      console.log('read')
      return new Promise(() => {})
    })`
  const deno = spawn(binary('deno'), ['eval', '--unstable-no-legacy-abort', script])
  closing.push(() => deno.kill())
  const lines = createInterface({ input: deno.stdout })[Symbol.asyncIterator]()
  const url = `http://127.0.0.1:${(await lines.next()).value as string}/`
  const leaveAfter = async (body: string): Promise<string> => {
    const client = request(url, { method: 'POST' }).on('error', () => undefined)
    client.end(body)
    await lines.next()
    client.destroy()
    // Another client's answers come later than the word of the first one's leave would.
    let told = '0'
    for (let asked = 0; asked < 50 && told === '0'; asked++) told = await (await fetch(url)).text()
    return told
  }
  assert.equal(await leaveAfter('x'.repeat(10_000)), '0')
  assert.equal(await leaveAfter('x'), '1')
})

test('blind-connect: in workerd a refused connection looks like one that broke', async () => {
  const refused = `http://127.0.0.1:${await freePort()}/`
  const broken = await urlOf(createTcpServer((socket) => socket.resetAndDestroy()) as unknown as Server)
  const said = [await (await ask('/connect', refused)).text(), await (await ask('/connect', broken)).text()]
  assert.equal(said[0], said[1])
  assert.match(said[0] ?? '', /Network connection lost/)
})

test('unwatched-stream: what passes natively in workerd shows nobody its bytes', async () => {
  const url = await urlOf(
    createServer((_, response) => {
      response.write('data: 1\n\n')
      setTimeout(() => response.end('data: 2\n\n'), 100)
    }),
  )
  const text = await (await ask('/pass', url)).text()
  assert.equal(text, 'data: 1\n\ndata: 2\n\n')
  const told = (await (await fetch(`${origin}/told`)).json()) as string[]
  // The end alone: a stream that stands still looks like one that runs.
  assert.deepEqual(told.slice(1), ['the stream ended'])
})

for (const name of ['deno', 'bun']) {
  test(`wordless-refusal: the WebSocket of ${name} does not tell how a server refused it`, async () => {
    const server = createServer()
    server.on('upgrade', (_, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\nconnection: close\r\n\r\nno models')
    })
    const url = (await urlOf(server)).replace('http', 'ws')
    const script = `
      const socket = new WebSocket('${url}')
      const told = []
      socket.onerror = (event) => told.push(event.status, event.body, event.response)
      socket.onclose = ({ code, status }) => console.log(JSON.stringify([...told, status ?? null, typeof code]))`
    const args = name === 'deno' ? ['eval', '--quiet', script] : ['-e', script]
    const said = await new Promise<string>((resolve, reject) => {
      execFile(binary(name), args, { cwd: root }, (error, stdout) =>
        error ? reject(error) : resolve(stdout),
      )
    })
    assert.deepEqual(JSON.parse(said), [null, null, null, null, 'number'])
  })
}
