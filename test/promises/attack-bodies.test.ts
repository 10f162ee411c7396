// Bodies lie in memory that is used again: every engine gets the bytes of the call that it has, whatever becomes of the others.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { it, type TestContext } from 'node:test'
import { bodies } from '../../adapters/node/body-memory.ts'
import { ANSWER, delta, DONE, LAST } from './_engine.ts'
import { Client, pause, router } from './_router.ts'

/** What an engine does with a call. */
const DEEDS = ['whole', 'stream', 'slow', 'early', 'early', 'busy', 'dies'] as const
type Deed = (typeof DEEDS)[number]

/** A call whose every eight bytes tell which one it is. */
interface Made {
  readonly id: number
  readonly deed: Deed
  readonly leaves: boolean
  readonly body: Buffer
  tries: number
}

const SIZES = [6000, 20_000, 100_000, 131_072, 300_000, 1_000_000]
/** More than the buffers of two sockets hold. */
const HUGE = 7_000_000

function makeCalls(count: number): Made[] {
  return Array.from({ length: count }, (_, id) => {
    const deed = DEEDS[id % DEEDS.length]!
    const size = deed === 'early' && id % 5 === 0 ? HUGE : SIZES[id % SIZES.length]!
    const pad = `${id}`
      .padStart(7, '0')
      .concat('.')
      .repeat(Math.ceil(size / 8))
    const stream = { stream: deed === 'stream' || deed === 'early', stream_options: { include_usage: true } }
    const body = Buffer.from(JSON.stringify({ user: `${id}`, model: 'm', ...stream, messages: [], pad }))
    return { id, deed, leaves: id % 11 === 10, body, tries: 0 }
  })
}

/** An engine that compares all it gets, as it comes. Returns its URL. `wrong` gets what was not as it should. */
async function comparing(t: TestContext, calls: readonly Made[], wrong: string[]): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    serve(socket, calls, wrong).catch(() => undefined) // its router has gone
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const MODELS = '{"object":"list","data":[{"id":"m","object":"model","owned_by":"vllm"}]}'

async function serve(socket: Socket, calls: readonly Made[], wrong: string[]): Promise<void> {
  const reader = new Reader(socket, calls, wrong)
  for await (const bytes of socket as AsyncIterable<Buffer>) await reader.read(bytes)
}

/** Reads what comes on one connection. */
class Reader {
  readonly #socket: Socket
  readonly #calls: readonly Made[]
  readonly #wrong: string[]
  #pending: Buffer = Buffer.alloc(0)
  /** Whose body is coming, and how much of it has come. */
  #made: Made | null = null
  #at = 0

  constructor(socket: Socket, calls: readonly Made[], wrong: string[]) {
    this.#socket = socket
    this.#calls = calls
    this.#wrong = wrong
  }

  async read(bytes: Buffer): Promise<void> {
    this.#pending = Buffer.concat([this.#pending, bytes])
    while (this.#pending.length > 0) {
      const made = this.#made
      if (!(await (made === null ? this.#open() : this.#compare(made)))) return
    }
  }

  /** False: there is more to come before it can be told what it is. */
  async #open(): Promise<boolean> {
    const pending = this.#pending
    const end = pending.indexOf('\r\n\r\n') + 4
    const isCall = pending.toString('latin1', 0, 5) === 'POST '
    const id = /"user":"(\d+)"/.exec(pending.toString('latin1', end, end + 100))?.[1]
    if (end < 4 || (isCall && id === undefined)) return false
    this.#pending = pending.subarray(end)
    if (id === undefined) answer(this.#socket, 200, MODELS)
    else await begin(this.#socket, (this.#made = this.#calls[Number(id)]!))
    return true
  }

  async #compare(made: Made): Promise<boolean> {
    const part = this.#pending.subarray(0, made.body.length - this.#at)
    const { length } = part
    if (!made.body.subarray(this.#at, this.#at + length).equals(part))
      this.#wrong.push(`call ${made.id} at ${this.#at}`)
    this.#pending = this.#pending.subarray(length)
    this.#at += length
    if (this.#at < made.body.length) return true
    await finish(this.#socket, made)
    this.#made = null
    this.#at = 0
    return true
  }
}

/** The first bytes of a call are here. */
async function begin(socket: Socket, made: Made): Promise<void> {
  const { deed } = made
  const tries = ++made.tries
  if (deed === 'dies' && tries === 1) socket.resetAndDestroy()
  if (deed === 'early') socket.write(STREAM_HEAD + delta('a'))
  if (deed === 'slow' || deed === 'early') await pause(20)
}

/** All of it is here. */
async function finish(socket: Socket, { deed, tries }: Made): Promise<void> {
  if (deed === 'busy' && tries === 1) return answer(socket, 503, '{}')
  if (deed !== 'stream' && deed !== 'early') return answer(socket, 200, ANSWER)
  if (deed === 'stream') socket.write(STREAM_HEAD + delta('a'))
  await pause(10)
  socket.end(delta('b') + LAST + DONE)
}

const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n'

function answer(socket: Socket, status: number, body: string): void {
  const type = 'content-type: application/json'
  socket.write(`HTTP/1.1 ${status} X\r\n${type}\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
}

it('an engine gets the bytes of its own call, whatever becomes of others', async (t) => {
  const calls = makeCalls(70)
  const wrong: string[] = []
  const workers = [await comparing(t, calls, wrong), await comparing(t, calls, wrong)]
  const made = await router(t, { workers, policy: 'round_robin', breakerFailures: 1_000_000 })
  const line = [...calls]
  const failed: string[] = []
  const client = async () => {
    for (let call = line.shift(); call; call = line.shift()) {
      const sent = new Client(made.url, { body: call.body })
      if (call.leaves) setTimeout(() => sent.leave(), call.id % 30)
      const { status, text, isWhole } = await sent.ended
      const isGood = status === 200 && isWhole && (text === ANSWER || text.endsWith(DONE))
      if (!isGood && !call.leaves) failed.push(`call ${call.id}: ${call.deed} ${status} ${text.slice(-300)}`)
    }
  }
  await Promise.all(Array.from({ length: 12 }, client))
  await made.rests()
  assert.deepEqual(wrong, [])
  assert.deepEqual(failed, [])
  assert.ok(bodies.kept > 0, 'memory of bodies was used again')
})
