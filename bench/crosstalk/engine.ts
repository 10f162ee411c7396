// An engine on bare sockets: it answers with digests of exactly what came, written in any way that HTTP/1.1 allows, or breaks off.
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { chunked } from './asks.ts'
import { askedOf, digest, eventsOf, MessageReader, passedOf, put, valueOf, type Message } from './messages.ts'
import type { Random } from './random.ts'

/** What engines saw, together. */
export class Seen {
  /** Requests that came whole. */
  calls = 0
  /** How the last answer to a mark went out. */
  readonly ends = new Map<string, 'whole' | 'broken' | 'silent'>()
  /** What was digested, for messages of what went wrong. */
  readonly texts = new Map<string, string>()
  /** Requests of conversations that are odd, by their names. */
  readonly odd = new Map<string, string[]>()
}

export interface EngineRig {
  readonly random: Random
  readonly seen: Seen
  readonly wrong: (what: string) => void
}

/** Starts an engine on a port of its own, or on a unix socket, whose buffers are small: there writes stay unfinished. */
export async function startEngine(rig: EngineRig, path?: string): Promise<{ server: Server; url: string }> {
  const server = createServer({ noDelay: true }, (socket) => serve(socket, rig))
  if (path === undefined) server.listen(0, '127.0.0.1')
  else server.listen(path)
  await once(server, 'listening')
  const address = server.address()
  const isPort = typeof address === 'object' && address !== null
  return { server, url: isPort ? `http://127.0.0.1:${address.port}` : `unix:${path}` }
}

function serve(socket: Socket, rig: EngineRig): void {
  const { random, wrong } = rig
  // One behind the other: the router never sends two at once.
  let isBusy = false
  let isEarly = false
  let seenHead: object | null = null
  const reader = new MessageReader({
    isRequests: true,
    isBare: () => false,
    message: (message) => {
      if (isEarly) {
        isEarly = false
        return checkMarks(message.body.toString('latin1'), wrong)
      }
      if (isBusy) wrong(`an engine got ${message.start} before it had answered`)
      isBusy = true
      void answer(socket, message, rig).then(() => (isBusy = false))
    },
    wrong: (what) => {
      wrong(`an engine got what is no request: ${what}`)
      socket.destroy()
    },
  })
  socket.on('data', (bytes) => {
    reader.feed(bytes)
    const { head } = reader
    if (head === null || head === seenHead) return
    seenHead = head
    if (Number(valueOf(head.lines, 'content-length')) < 60_000 || !random.once(15)) return
    isEarly = true
    socket.write('HTTP/1.1 200 OK\r\nx-early: 1\r\ncontent-length: 5\r\n\r\nearly')
    rest(socket, random.int(80))
  })
  socket.on('close', () => checkMarks(reader.partial, wrong))
  socket.on('error', () => undefined)
  // A slow reader.
  if (random.once(10)) rest(socket, random.int(60))
}

function rest(socket: Socket, time: number): void {
  socket.pause()
  setTimeout(() => socket.resume(), time)
}

/** What came of one request is of one call. Returns its mark. */
function checkMarks(text: string, wrong: (what: string) => void): string {
  const marks = marksOf(text)
  if (marks.length > 1)
    wrong(`an engine got marks of several calls: ${marks.join(' ')} ${text.slice(0, 300)}`)
  return marks[0] ?? 'none'
}

const MARK = /m\d{8}x/g

/** Marks of a text, each once. */
export function marksOf(text: string): string[] {
  return [...new Set(text.match(MARK))]
}

async function answer(socket: Socket, message: Message, rig: EngineRig): Promise<void> {
  const { start, lines, body } = message
  const own = probed(start)
  if (own !== null) return void socket.write(own)
  rig.seen.calls++
  const odd = /[?&]odd=([\w-]+)/.exec(start)
  if (odd !== null) return answerOdd(socket, message, odd[1]!, rig)
  const mark = checkMarks(`${start}\n${lines.join('\n')}\n${body.toString('latin1')}`, rig.wrong)
  await (body.includes('"stream":true')
    ? answerStream(socket, message, mark, rig)
    : answerWhole(socket, message, mark, rig))
}

/** What the router itself asks. */
function probed(start: string): string | null {
  const body = start.startsWith('GET /v1/models')
    ? '{"object":"list","data":[{"id":"m","object":"model"}]}'
    : /^GET \/(health|version|metrics|load|get_|server_info|model_info)/.test(start)
      ? '{}'
      : null
  if (body === null) return null
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

async function answerOdd(socket: Socket, message: Message, name: string, { seen }: EngineRig): Promise<void> {
  const { start, body } = message
  const calls = seen.odd.get(name) ?? []
  seen.odd.set(name, calls)
  calls.push(`${start.replace(' HTTP/1.1', '')} ${digest(body)}`)
  const isHead = start.startsWith('HEAD')
  socket.write(`HTTP/1.1 200 OK\r\nx-odd: ${name}\r\ncontent-length: 3\r\n\r\n${isHead ? '' : 'odd'}`)
}

/** Headers that tell what came. */
function echo({ start, lines, body }: Message, mark: string, { random, seen }: EngineRig): string[] {
  const passed = passedOf(lines)
  seen.texts.set(digest(passed), passed)
  const own = Array.from(
    { length: random.int(4) },
    (_, i) => `X-Own-${i}: ${mark}-${'o'.repeat(random.int(30))}`,
  )
  if (random.once(6)) own.push(`Set-Cookie: a=${mark}`, 'Set-Cookie: b=2')
  if (random.once(30)) own.push(`X-Long: ${`${mark}-`.repeat(random.int(2000))}`)
  const echoed = [
    `x-echo: ${mark}`,
    `x-line: ${start.replace(' HTTP/1.1', '')}`,
    `x-heads: ${digest(passed)}`,
    `x-body: ${askedOf(body)}`,
    `x-rid: ${valueOf(lines, 'x-request-id') ?? ''}`,
  ]
  return random.shuffled([...own, ...echoed])
}

async function answerWhole(socket: Socket, message: Message, mark: string, rig: EngineRig): Promise<void> {
  const { random } = rig
  const isJson = message.start.includes('/v1/chat')
  const isLong = message.body.includes('"long":true')
  const pad = `${mark} `.repeat(
    isLong ? 40_000 : random.int(random.pick([3, 3, 30, 30, 300, 1500, 6000, 12_000, 36_000])),
  )
  const text = isJson
    ? `{"id":"a","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"${pad}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
    : pad
  const body = Buffer.from(random.once(400) ? pad.repeat(20).slice(0, 3_000_000) : text)
  const status = random.once(20) ? random.pick(['404 Not Found', '400 Bad Request', '201 Created']) : '200 OK'
  const lines = [...echo(message, mark, rig), `x-sum: ${digest(body)}`]
  if (isJson) lines.push('content-type: application/json')
  const isHead = message.start.startsWith('HEAD')
  if (random.once(40) && !isJson && !isHead) {
    // No body at all.
    return send(socket, Buffer.from(`HTTP/1.1 204 No Content\r\n${lines.join('\r\n')}\r\n\r\n`), false, {
      mark,
      rig,
    })
  }
  return frame(socket, { status, lines, body, isHead }, { mark, rig })
}

async function answerStream(socket: Socket, message: Message, mark: string, rig: EngineRig): Promise<void> {
  const { random } = rig
  const events: string[] = []
  const isLong = message.body.includes('"long":true')
  const pad = `${mark} `.repeat(random.int(isLong ? 600 : random.pick([2, 2, 2, 20, 300])))
  const end = random.once(10) ? '\r\n\r\n' : '\n\n'
  const count = isLong ? 200 : random.pick([0, 1, 5, 30, 30, random.once(10) ? 700 : 60, 200])
  const isUsual = !random.once(3)
  for (let i = 0; i < count; i++) {
    const rest = isUsual ? '"created":1,"model":"m",' : random.once(2) ? '"model":"m",' : '"é":"ü",'
    events.push(
      `data: {"id":"${mark}","object":"chat.completion.chunk",${rest}"choices":[{"index":0,"delta":{"content":"${i} ${pad}"},"finish_reason":null}]}${end}`,
    )
    if (random.once(30)) events.push(`: ${mark}${end}`)
  }
  const isCounted = message.body.includes('"include_usage":true')
  const usage = `data: {"id":"${mark}","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":${count},"total_tokens":2}}${end}`
  const all = [...events, ...(isCounted ? [usage] : []), `data: [DONE]${end}`]
  const sum = digest(Buffer.from(eventsOf(all.join(''))))
  const lines = [...echo(message, mark, rig), `x-sum: ${sum}`, 'content-type: text/event-stream']
  if (random.once(3))
    return frame(
      socket,
      { status: '200 OK', lines, body: Buffer.from(all.join('')), isHead: false },
      { mark, rig },
    )
  const head = `HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\ntransfer-encoding: chunked\r\n\r\n`
  // As engines write: an event is a chunk, and some go out in one write.
  const chunks = all.map((event) => `${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`)
  await sendEvents(socket, [head, ...chunks, '0\r\n\r\n'], { mark, rig })
}

interface About {
  readonly mark: string
  readonly rig: EngineRig
}

async function sendEvents(socket: Socket, parts: readonly string[], { mark, rig }: About): Promise<void> {
  const { random, seen } = rig
  const breaksAt = random.once(25) ? random.int(parts.length) : -1
  const most = random.pick(parts.length > 100 ? [40, 1000] : [1, 3, 40])
  seen.ends.set(mark, breaksAt < 0 ? 'whole' : breaksAt === 0 ? 'silent' : 'broken')
  for (let at = 0; at < parts.length;) {
    const to = Math.min(at + 1 + random.int(most), parts.length)
    if (breaksAt >= 0 && to > breaksAt) {
      const part = parts[breaksAt] as string
      socket.write(
        parts.slice(at, breaksAt).join('') + (breaksAt === 0 ? '' : part.slice(0, random.int(part.length))),
      )
      return void (random.once(2) ? socket.destroySoon() : socket.destroy())
    }
    socket.write(parts.slice(at, to).join(''))
    at = to
    if (socket.destroyed || at === parts.length) return
    await (random.once(4) ? sleep(random.int(3)) : new Promise(setImmediate))
  }
}

interface Answer {
  readonly status: string
  readonly lines: readonly string[]
  readonly body: Buffer
  readonly isHead: boolean
}

/** Sends an answer in any framing. */
async function frame(socket: Socket, { status, lines, body, isHead }: Answer, about: About): Promise<void> {
  const { random } = about.rig
  const way = isHead ? 0 : random.int(12)
  const version = way === 11 && random.once(2) ? 'HTTP/1.0' : 'HTTP/1.1'
  const early = random.once(25)
    ? 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'
    : ''
  const head = (line: string) =>
    Buffer.from(`${early}${version} ${status}\r\n${[...lines, line].join('\r\n')}\r\n\r\n`)
  if (way === 11) return send(socket, Buffer.concat([head('connection: close'), body]), true, about)
  if (way < 7) {
    const bytes = isHead
      ? head(`Content-Length: ${body.length}`)
      : Buffer.concat([head(`Content-Length: ${body.length}`), body])
    return send(socket, bytes, false, about)
  }
  const trailers = random.once(6) ? 'x-trailer: 1\r\n' : ''
  const bytes = Buffer.concat([head('transfer-encoding: chunked'), chunked(body, random, trailers)])
  await send(socket, bytes, false, about)
}

/** An answer that nobody asked for. */
const FOREIGN = 'HTTP/1.1 200 OK\r\nx-echo: m00000000x\r\ncontent-length: 10\r\n\r\nm00000000x'

/** Sends all, or breaks off somewhere. */
async function send(socket: Socket, bytes: Buffer, isEof: boolean, { mark, rig }: About): Promise<void> {
  const { random, seen } = rig
  const breaks = random.once(25) && !(isEof && bytes.includes('\r\n\r\n'))
  const headEnd = bytes.indexOf('\r\n\r\n') + 4
  if (breaks) {
    const at = random.int(bytes.length)
    seen.ends.set(mark, at < headEnd ? 'silent' : 'broken')
    await put(socket, bytes.subarray(0, at), random)
    return void (random.once(2) ? socket.destroySoon() : socket.destroy())
  }
  seen.ends.set(mark, 'whole')
  if (!isEof && bytes.length < 8000 && random.once(40)) {
    socket.write(Buffer.concat([bytes, Buffer.from(FOREIGN)]))
    return
  }
  if (random.once(20)) await sleep(random.int(40))
  await put(socket, bytes, random)
  if (isEof) socket.end()
}
