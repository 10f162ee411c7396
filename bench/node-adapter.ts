// CPU per request of a bare pass-through on the Node adapter: `node bench/node-adapter.ts [requests]`. Load and engine run in children.
import { fork } from 'node:child_process'
import { createServer, Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '../adapters/node/http.ts'
import { relay } from '../adapters/node/relay.ts'
import { createFetch } from '../adapters/node/fetch.ts'

const CASES = { json1: 1024, json16: 16_384, json128: 131_072, sse: 1024 } as const
type Case = keyof typeof CASES
const EVENT = `data: ${'x'.repeat(192)}\n\n`

/** An engine that answers with as many bytes as it got, or with 64 events. */
function engine(): void {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (bytes: Buffer) => chunks.push(bytes))
    req.on('end', () => {
      if (req.url === '/sse') {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        for (let i = 0; i < 64; i++) res.write(EVENT)
        return res.end()
      }
      const body = Buffer.concat(chunks)
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
      res.end(body)
    })
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
}

/** Sends requests from 8 clients; tells when done. */
async function load(url: string, name: Case, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const body = Buffer.alloc(CASES[name], 'a')
  const once = () =>
    new Promise<void>((resolve, reject) => {
      const req = request(`${url}/${name === 'sse' ? 'sse' : 'json'}`, { method: 'POST', agent }, (res) => {
        let size = 0
        res.on('data', (bytes: Buffer) => (size += bytes.length))
        res.on('end', () => {
          const expected = name === 'sse' ? EVENT.length * 64 : body.length
          if (size === expected) resolve()
          else reject(new Error(`${size} bytes in place of ${expected}`))
        })
      })
      req.on('error', reject)
      req.end(body)
    })
  let left = count
  const client = async () => {
    while (left-- > 0) await once()
  }
  await Promise.all(Array.from({ length: 8 }, client))
  agent.destroy()
}

async function main(count: number): Promise<void> {
  const upstreamProcess = fork(import.meta.filename, ['engine'])
  const port = await new Promise<number>((resolve) =>
    upstreamProcess.once('message', (message) => resolve(Number(message))),
  )
  const worker = { id: 'w', url: `http://127.0.0.1:${port}`, engine: 'vllm' }
  const upstream = createFetch()
  const watch = {
    chunk: (bytes: Uint8Array) => bytes,
    end: () => null,
    fail: () => null,
    leave: () => undefined,
  }
  const served = await serve(async (incoming) => {
    const body = await incoming.bytes()
    const path = incoming.url.slice(incoming.url.indexOf('/', 8))
    const { method, signal } = incoming
    const outgoing = {
      method,
      path,
      headers: ['content-type', 'application/json'],
      body: [body],
      connectTimeout: 5000,
      signal,
    }
    const answer = await upstream(worker, outgoing)
    await answer.first()
    return relay(answer, answer, watch)
  })
  for (const name of Object.keys(CASES) as Case[]) {
    const figures: number[] = []
    for (let round = 0; round < 4; round++) {
      const before = process.cpuUsage()
      const child = fork(import.meta.filename, ['load', served.url, name, String(count)])
      await new Promise((resolve) => child.once('exit', resolve))
      const { user, system } = process.cpuUsage(before)
      figures.push((user + system) / count)
    }
    console.log(name.padEnd(8), figures.map((figure) => figure.toFixed(1)).join('  '), 'µs of CPU a request')
  }
  await served.close(0)
  upstream.close()
  upstreamProcess.disconnect()
  upstreamProcess.kill()
}

const [mode, ...rest] = process.argv.slice(2)
if (mode === 'engine') engine()
else if (mode === 'load') await load(rest[0]!, rest[1] as Case, Number(rest[2]))
else await main(Number(mode ?? 4000))
