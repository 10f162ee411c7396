// The load of the benchmark: a closed loop of keep-alive connections that check every reply they get.
import { connect, type Socket } from 'node:net'
import { eventCount, type Bodies, type Column } from './bodies.ts'

/** What one run of load saw. */
export interface Load {
  readonly requests: number
  /** The first few complaints; empty when every reply was right. */
  readonly errors: readonly string[]
  /** From the barrier to the last reply, ms. */
  readonly wall: number
  /** ms from sending to the last byte, one for each request (only when asked for). */
  readonly latencies: readonly number[]
}

export interface LoadOptions {
  readonly port: number
  readonly column: Column
  readonly bodies: Bodies
  readonly requests: number
  readonly clients: number
  /** Called once every connection stands and has had one reply, which is not counted: read the CPU here. */
  readonly onReady?: () => void
  /** Called at the last reply, before the connections are closed. */
  readonly onDone?: () => void
  readonly keepLatencies?: boolean
}

/** ms without a byte after which a reply counts as lost. */
const patience = 20_000

/** Sends `requests` requests over `clients` connections, after one on each that warms them. */
export async function drive(options: LoadOptions): Promise<Load> {
  const clients = Array.from({ length: options.clients }, () => new Client(options))
  const errors: string[] = []
  const latencies: number[] = []
  const run = async (client: Client, hasMore: () => boolean) => {
    while (errors.length < 5 && hasMore()) {
      const complaint = await client.ask()
      if (complaint !== null) errors.push(complaint)
      else if (options.keepLatencies === true) latencies.push(client.took)
    }
  }
  let wall = 0
  try {
    await Promise.all(clients.map((client) => client.open()))
    for (const complaint of await Promise.all(clients.map((client) => client.ask())))
      if (complaint !== null) errors.push(complaint)
    let left = options.requests
    options.onReady?.()
    const began = performance.now()
    await Promise.all(clients.map((client) => run(client, () => left-- > 0)))
    wall = performance.now() - began
    options.onDone?.()
  } catch (error) {
    errors.push(String(error))
  } finally {
    for (const client of clients) client.close()
  }
  return { requests: options.requests + clients.length, errors, wall, latencies }
}

/** One keep-alive connection with one request under way at a time. */
class Client {
  /** ms of the last reply. */
  took = 0
  readonly #options: LoadOptions
  readonly #buffer: Buffer
  readonly #headLength: number
  readonly #reply: Reply
  #socket: Socket | null = null
  #settle: ((complaint: string | null) => void) | null = null

  constructor(options: LoadOptions) {
    this.#options = options
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${options.port}\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: ${options.bodies.bytes}\r\n\r\n`
    this.#headLength = head.length
    this.#buffer = Buffer.allocUnsafe(head.length + options.bodies.bytes)
    this.#buffer.write(head, 'latin1')
    this.#reply = new Reply(options.column.reply !== 'json')
  }

  async open(): Promise<void> {
    const socket = connect({ port: this.#options.port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#finish(`connection: ${error.message}`))
    socket.on('close', () => this.#finish('connection closed within a reply'))
    socket.setTimeout(patience, () => this.#finish(`no byte for ${patience} ms`))
    this.#socket = socket
  }

  /** Sends the next request; resolves to what was wrong with the reply, or null. */
  ask(): Promise<string | null> {
    return new Promise((resolve) => {
      this.#options.bodies.write(this.#buffer.subarray(this.#headLength))
      this.#reply.reset()
      const began = performance.now()
      this.#settle = (complaint) => {
        this.took = performance.now() - began
        resolve(complaint)
      }
      this.#socket?.write(this.#buffer)
    })
  }

  close(): void {
    this.#settle = null
    this.#socket?.destroy()
  }

  #take(chunk: Buffer): void {
    if (this.#settle === null) return
    const isWhole = this.#reply.feed(chunk)
    if (isWhole) this.#finish(this.#reply.complaint())
  }

  #finish(complaint: string | null): void {
    const settle = this.#settle
    this.#settle = null
    settle?.(complaint)
  }
}

const newline = 10
const lastWords = 'data: [DONE]\n\n'

/** Reads one HTTP/1.1 reply, with a length or in chunks, and counts the events in it. */
class Reply {
  readonly #isStream: boolean
  #status = 0
  /** Of the first good reply; all others must be as long. */
  #bytesWanted = -1
  #bytes = 0
  #events = 0
  #endedInNewline = false
  #tail = ''
  #head = ''
  #phase: 'head' | 'length' | 'size' | 'data' | 'trailer' = 'head'
  /** Bytes that the body, or the chunk with its line end, still lacks. */
  #lacking = 0
  #line = ''
  #start = ''

  constructor(isStream: boolean) {
    this.#isStream = isStream
  }

  reset(): void {
    this.#status = 0
    this.#bytes = 0
    this.#events = 0
    this.#endedInNewline = false
    this.#tail = ''
    this.#head = ''
    this.#line = ''
    this.#start = ''
    this.#phase = 'head'
  }

  /** Takes bytes off the wire; true when the reply is whole. */
  feed(chunk: Buffer): boolean {
    let at = 0
    if (this.#phase === 'head') {
      at = this.#readHead(chunk)
      if (at < 0) return false
      if (this.#isEmpty()) return true
    }
    while (at < chunk.length) {
      if (this.#phase === 'length') {
        this.#payload(chunk.subarray(at))
        this.#lacking -= chunk.length - at
        return this.#lacking <= 0
      }
      if (this.#phase === 'data') {
        const take = Math.min(this.#lacking, chunk.length - at)
        const data = Math.min(take, this.#lacking - 2)
        if (data > 0) this.#payload(chunk.subarray(at, at + data))
        this.#lacking -= take
        at += take
        if (this.#lacking === 0) this.#phase = 'size'
        continue
      }
      at = this.#readLine(chunk, at)
      if (at === 0) return true
    }
    return false
  }

  #isEmpty(): boolean {
    return this.#phase === 'length' && this.#lacking === 0
  }

  /** What is wrong with the whole reply, or null. */
  complaint(): string | null {
    if (this.#status !== 200) return `status ${this.#status}: ${this.#start.slice(0, 200)}`
    if (this.#isStream && this.#events !== eventCount + 1) return `${this.#events} events`
    if (this.#isStream)
      return this.#tail === lastWords ? null : `stream ended with ${JSON.stringify(this.#tail)}`
    if (this.#bytesWanted < 0 && this.#tail.endsWith('}')) this.#bytesWanted = this.#bytes
    return this.#bytes === this.#bytesWanted && this.#bytes > 600 ? null : `${this.#bytes} bytes`
  }

  #readHead(chunk: Buffer): number {
    const before = this.#head.length
    this.#head += chunk.toString('latin1', 0, Math.min(chunk.length, 4096))
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return -1
    const head = this.#head.slice(0, end).toLowerCase()
    this.#status = Number(head.slice(9, 12))
    const lengthAt = head.indexOf('\r\ncontent-length:')
    this.#phase = lengthAt < 0 ? 'size' : 'length'
    if (lengthAt >= 0) this.#lacking = Number.parseInt(head.slice(lengthAt + 17, lengthAt + 30), 10)
    return end + 4 - before
  }

  /** Reads a chunk's size line, or the end of the trailer; returns where the next byte is, 0 at the end of the reply. */
  #readLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(newline, at)
    this.#line += chunk.toString('latin1', at, end < 0 ? chunk.length : end + 1)
    if (end < 0) return chunk.length
    const line = this.#line.trim()
    this.#line = ''
    if (this.#phase === 'trailer') return line === '' ? 0 : end + 1
    const size = Number.parseInt(line, 16)
    this.#phase = size === 0 ? 'trailer' : 'data'
    this.#lacking = size + 2
    return end + 1
  }

  #payload(data: Buffer): void {
    if (this.#status !== 200) this.#start += data.toString('latin1', 0, 200)
    this.#bytes += data.length
    if (this.#isStream) {
      if (this.#endedInNewline && data[0] === newline) this.#events++
      for (let at = data.indexOf('\n\n'); at >= 0; at = data.indexOf('\n\n', at + 2)) this.#events++
      this.#endedInNewline = data[data.length - 1] === newline && data[data.length - 2] !== newline
    }
    this.#tail = (this.#tail + data.toString('latin1', Math.max(0, data.length - lastWords.length))).slice(
      -lastWords.length,
    )
  }
}
