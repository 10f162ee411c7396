// The client of bench/streams.ts: opens all streams, then watches what comes and how late.
// usage: node bench/streams/client.ts STREAMS MS INTERVAL_MS PORT… ; prints `open` when all are, `watching` when it counts what
// comes, and what it saw at the end.
import { connect, type Socket } from 'node:net'
import { quantile } from '../stats.ts'

export interface StreamsSeen {
  /** Streams whose first event came and that were still open at the end. */
  readonly open: number
  readonly errors: readonly string[]
  /** While all were open. */
  readonly events: number
  /** ms between the engine's write and the read here. */
  readonly p50: number
  readonly p99: number
  readonly most: number
  /** ms that were watched. */
  readonly wall: number
}

const [streams = 0, duration = 0, interval = 0, ...ports] = process.argv.slice(2).map(Number)
const BODY = '{"model":"m","stream":true,"max_tokens":100000,"messages":[{"role":"user","content":"go on"}]}'
/** Connections that are opened at once, and ms that each may take. */
const AT_ONCE = 64
const PATIENCE = 30_000
const STAMP = '"content":" '

const sockets = new Set<Socket>()
const errors: string[] = []
const delays: number[] = []
/** The number of each stream's next event: one that is lost is an error. */
const nexts = new Map<Socket, number>()
/** Enough to see what is wrong. */
const MOST_TOLD = 20
let isWatching = false

function open(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const end = (what: string) => {
      if (sockets.delete(socket)) errors.push(what)
      resolve()
    }
    sockets.add(socket)
    const late = setTimeout(() => end(`no event within ${PATIENCE} ms`), PATIENCE)
    socket.on('connect', () => {
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
      )
    })
    let isHead = true
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      if (isHead && !text.startsWith('HTTP/1.1 200')) return end(text.slice(0, 300))
      isHead = false
      if (text.includes(STAMP)) {
        clearTimeout(late)
        resolve()
      }
      if (text.includes('"error"') || text.includes('[DONE]')) return end(text.slice(0, 300))
      watch(socket, text)
    })
    socket.on('error', (error) => end(String(error)))
    socket.on('close', () => end('closed'))
  })
}

/** Events are small and written one by one: none is cut in two on loopback, or it would be missing in the count. */
function watch(socket: Socket, text: string): void {
  const now = process.hrtime.bigint()
  for (let at = text.indexOf(STAMP); at >= 0; at = text.indexOf(STAMP, at + 1)) {
    const start = at + STAMP.length
    const [stamp = '', number] = text.slice(start, text.indexOf('"', start)).split(' ')
    const next = nexts.get(socket) ?? 0
    if (Number(number) !== next) errors.push(`event ${number} came in place of ${next}`)
    nexts.set(socket, Number(number) + 1)
    if (isWatching) delays.push(Number(now - BigInt(stamp)) / 1e6)
  }
}

let left = streams
const opener = async () => {
  while (left > 0 && errors.length === 0) await open(ports[--left % ports.length]!)
}
await Promise.all(Array.from({ length: AT_ONCE }, opener))
console.log('open')
// What opening them left to do is not what is measured.
await new Promise((resolve) => setTimeout(resolve, 3 * interval))
console.log('watching')
isWatching = true
const began = performance.now()
await new Promise((resolve) => setTimeout(resolve, duration))
isWatching = false
const wall = performance.now() - began
const seen: StreamsSeen = {
  open: sockets.size,
  errors: errors.slice(0, MOST_TOLD),
  events: delays.length,
  p50: quantile(delays, 0.5),
  p99: quantile(delays, 0.99),
  most: delays.reduce((most, delay) => Math.max(most, delay), 0),
  wall,
}
console.log(JSON.stringify(seen))
process.exit(0)
