// Puts our client and undici in front of one scripted worker: what do they make of the same bytes?
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { Client } from 'undici'
import { createFetch } from '../../../../adapters/node/fetch.ts'
import { UpstreamFailure } from '../../../../src/host.ts'
import type { Case } from './_answers.ts'

export type Result =
  | { readonly status: number; readonly headers: readonly string[]; readonly body: string }
  | { readonly failure: string }

/** The packets of an answer; a cut of -1: every byte is one. */
function packets({ wire, cuts }: Case): Buffer[] {
  const bytes = Buffer.from(wire, 'latin1')
  const places = cuts[0] === -1 ? [...bytes.keys()] : cuts.map((cut) => cut % (bytes.length + 1))
  const sorted = [...new Set([0, ...places, bytes.length])].sort((a, b) => a - b)
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end))
}

const PROBE = { method: 'GET', isEarly: false } as const
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
/** A worker that holds its connection open closes it after this, ms: then both clients must have an end. */
const PATIENCE = 20

export interface Bench {
  /** What our client and undici make of one answer. Throws when bytes of it reach the next request, or one of them hangs. */
  compare(given: Case): Promise<{ ours: Result; oracle: Result }>
  close(): Promise<void>
}

/** A scripted worker with both clients in front of it. Ours keeps its connections from case to case. */
export async function bench(): Promise<Bench> {
  let current: Case | null = null
  let count = 0
  let hasLostPatience = false
  const sockets = new Set<Socket>()
  let sent: Promise<void> = Promise.resolve()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    let heard = ''
    const hangUp = () => {
      hasLostPatience = true
      socket.end()
    }
    let patience: NodeJS.Timeout | undefined
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1')
      // The rest of a body that was answered early.
      if (heard.startsWith('1\r\nx')) heard = heard.replace(/^1\r\nx\r\n(0\r\n\r\n)?/, '')
      if (heard.startsWith('0\r\n\r\n')) heard = heard.slice(5)
      const end = heard.indexOf('\r\n\r\n')
      const isEarly = heard.includes('transfer-encoding')
      if (end < 0 || (heard.startsWith('POST') && !isEarly && heard.length < end + 5)) return
      clearTimeout(patience)
      const probe = /^GET \/probe\/(\d+) /.exec(heard)?.[1]
      heard = isEarly ? heard.slice(end + 4) : ''
      if (probe === undefined) {
        const { closes } = current!
        sent = play(socket, current!).then(() => {
          if (closes) socket.end()
          else patience = setTimeout(hangUp, PATIENCE).unref()
        })
      } else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${probe.length + 1}\r\n\r\np${probe}`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const fetch = createFetch()
  const compare = async (given: Case) => {
    current = given
    hasLostPatience = false
    const ours = await inTime(ask(fetch, url, given, '/case'), 'our client')
    // What trails an answer must have come before the next request, for behind it nobody could tell it apart.
    await sent
    await turn()
    await turn()
    let probe = await inTime(ask(fetch, url, PROBE, `/probe/${++count}`), 'the next request')
    // On a busy machine the worker may close the connection before that is there.
    if ('failure' in probe && hasLostPatience)
      probe = await inTime(ask(fetch, url, PROBE, `/probe/${count}`), 'the request behind a close')
    if (!('body' in probe) || probe.body !== `p${count}`)
      throw new Error(`the next request got ${JSON.stringify(probe)}`)
    const oracle = await inTime(askOracle(url, given.method), 'undici')
    return { ours, oracle }
  }
  const close = async () => {
    fetch.close()
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }
  return { compare, close }
}

async function play(socket: Socket, given: Case): Promise<void> {
  for (const packet of packets(given)) {
    if (socket.destroyed) return
    socket.write(packet)
    await turn()
  }
}

async function inTime<T>(work: Promise<T>, who: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${who} hangs`)), 30_000)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

async function ask(
  fetch: ReturnType<typeof createFetch>,
  url: string,
  { method, isEarly }: Pick<Case, 'method' | 'isEarly'>,
  path: string,
): Promise<Result> {
  const body = isEarly ? lateBody() : [Buffer.from('x')]
  try {
    const upstream = await fetch(
      { id: 'w', url, engine: 'vllm' },
      {
        method,
        path,
        headers: [],
        body: method === 'POST' ? body : null,
        connectTimeout: 10_000,
        signal: new AbortController().signal,
      },
    )
    const bytes = Buffer.from(await upstream.bytes(1e6)).toString('latin1')
    return { status: upstream.status, headers: upstream.headers, body: bytes }
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error
    return { failure: `${error.kind}: ${error.message}` }
  }
}

/** One byte, and an end that takes its time. */
function lateBody(): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(Buffer.from('x'))
      for (let turns = 0; turns < 20; turns++) await turn()
      try {
        controller.close()
      } catch {
        // Cancelled meanwhile: the answer was whole before.
      }
    },
  })
}

async function askOracle(url: string, method: Case['method']): Promise<Result> {
  const client = new Client(url, { headersTimeout: 20_000, bodyTimeout: 20_000 })
  try {
    const body = method === 'POST' ? 'x' : null
    const reply = await client.request({ method, path: '/case', body, responseHeaders: 'raw' })
    const bytes = Buffer.from(await reply.body.arrayBuffer()).toString('latin1')
    return { status: reply.statusCode, headers: reply.headers as unknown as string[], body: bytes }
  } catch (error) {
    return { failure: `${(error as { code?: string }).code ?? ''} ${String(error)}` }
  } finally {
    client.destroy().catch(() => undefined)
  }
}
