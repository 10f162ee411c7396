// Requests that clients send again and again with small differences, and what has to arrive of them.
import { askedOf, digest, passedOf, type Message } from './messages.ts'
import type { Random } from './random.ts'

export interface Ask {
  /** Stands in all that belongs to this call, and in nothing else. */
  readonly mark: string
  readonly method: string
  /** All that is sent. */
  readonly bytes: Buffer
  /** Where the body begins. */
  readonly bodyAt: number
  /** What an engine has to see: request line, headers, body. */
  readonly line: string
  readonly heads: string
  readonly body: string
  readonly id: string | null
  readonly isStream: boolean
  readonly asksUsage: boolean
  /** The router answers it by itself. */
  readonly isOwn: boolean
  /** Nothing may be sent behind it. */
  readonly isLast: boolean
}

type Line = Message['lines'][number]

let count = 0

/** A mark of a new call. */
export function newMark(): string {
  return `m${String(++count).padStart(8, '0')}x`
}

/** How a connection's client usually writes. */
export interface Habit {
  readonly lines: readonly Line[]
  readonly path: string
  /** No mark stands in the head: it comes again to the byte, but for the length of the body. */
  readonly isSame: boolean
  readonly isJson: boolean
  /** It reads late, and asks for long answers. */
  readonly isSlow: boolean
  /** Words of all its bodies, more or less; 0: any. */
  readonly words: number
}

export function newHabit(random: Random): Habit {
  const isJson = !random.once(4)
  const lines: Line[] = [
    ['Host', 'router.test'],
    ['content-type', 'application/json'],
    ['x-own', 'a'.repeat(1 + random.int(40))],
    ['Authorization', `Bearer key-${random.int(1000)}`],
  ]
  if (random.once(3)) lines.push(['User-Agent', 'crosstalk/1'], ['Accept', '*/*'])
  if (random.once(4)) lines.push(['x-two', 'one'], ['x-two', 'two'])
  if (random.once(8)) lines.push(['x-long', 'l'.repeat(random.int(9000))])
  const path = isJson ? '/v1/chat/completions' : '/v1/echo'
  const words = random.once(3) ? random.pick([100, 6500, 9000, 14_000, 20_000]) : 0
  return {
    lines: random.shuffled(lines),
    path,
    isSame: random.once(2),
    isJson,
    isSlow: random.once(5),
    words,
  }
}

/** Changes that leave a request right. */
const CHANGES: readonly ((lines: Line[], random: Random) => Line[])[] = [
  (lines, random) => {
    const at = random.int(lines.length)
    return lines.map((line, i) => (i === at && line[0] !== 'Host' ? alike(line, random) : line))
  },
  (lines, random) => random.shuffled(lines),
  (lines, random) => {
    const at = random.int(lines.length)
    return lines.map(([name, value], i) => [i === at ? name.toUpperCase() : name, value])
  },
  (lines, random) => {
    const at = random.int(lines.length)
    return lines.filter(([name], i) => i !== at || /^(host|content-type)$/i.test(name))
  },
  (lines, random) => [...lines, [`x-more-${random.int(10)}`, `v${random.int(100)}`]],
  (lines, random) =>
    lines.map(([name, value]) =>
      name === 'Authorization' ? [name, `Bearer key-${random.int(1000)}`] : [name, value],
    ),
  (lines) => [...lines, ['x-empty', '']],
  (lines) => [...lines, ['x-wide', '\xe9\xff']],
]

/** Another value of the same length. */
function alike([name, value]: Line, random: Random): Line {
  const at = random.int(value.length)
  const isFree = name.startsWith('x-') && value !== ''
  return isFree ? [name, `${value.slice(0, at)}${random.int(10)}${value.slice(at + 1)}`] : [name, value]
}

/** The next request of a client. */
export function newAsk(habit: Habit, random: Random): Ask {
  const mark = newMark()
  let lines: Line[] = [...habit.lines]
  for (let i = random.once(3) ? 1 + random.int(2) : 0; i > 0; i--) lines = random.pick(CHANGES)(lines, random)
  const isMarked = !habit.isSame || random.once(6)
  const id = random.once(5) ? `id-${mark}` : null
  if (isMarked) lines.splice(random.int(lines.length), 0, ['x-mark', mark])
  if (id !== null) lines.push(['x-request-id', id])
  const method = methodOf(habit, random)
  const query = random.once(8) || (!isMarked && method !== 'POST') ? `?q=${mark}` : ''
  const isStream = habit.isJson && method === 'POST' && random.once(2)
  const asksUsage = isStream && random.once(4)
  const body = method === 'POST' ? bodyOf(mark, { habit, isStream, asksUsage }, random) : null
  const isOld = random.once(60)
  const isClosing = random.once(60)
  const isOwn = method !== 'POST' && method !== 'DELETE' && random.once(3)
  const other = isOwn ? random.pick(['/health', '/v1/models', '/nowhere']) : '/v1/echo/it'
  const path = method === 'POST' ? habit.path : other
  const sent: Line[] = isClosing ? [...lines, ['Connection', 'close']] : lines
  const framed = frame(sent, body, isOld, random)
  const start = `${method} ${path}${query} HTTP/1.${isOld ? 0 : 1}`
  const head = Buffer.from([start, ...framed.lines.map(spell(random)), '', ''].join('\r\n'), 'latin1')
  return {
    mark,
    method,
    bytes: Buffer.concat([head, framed.body]),
    bodyAt: head.length,
    line: `${method} ${path}${query}`,
    heads: digest(passedOf(lines)),
    body: askedOf(body ?? Buffer.alloc(0)),
    id,
    isStream,
    asksUsage,
    isOwn,
    isLast: isOld || isClosing,
  }
}

/** Mostly with one blank. */
function spell(random: Random): (line: Line) => string {
  const blank = random.once(40) ? random.pick(['', '  ', '\t']) : ' '
  return ([name, value]) => `${name}:${blank}${value}`
}

function methodOf({ isJson }: Habit, random: Random): string {
  return random.once(isJson ? 12 : 4) ? random.pick(['GET', 'HEAD', 'DELETE']) : 'POST'
}

interface Kind {
  readonly habit: Habit
  readonly isStream: boolean
  readonly asksUsage: boolean
}

function bodyOf(mark: string, { habit, isStream, asksUsage }: Kind, random: Random): Buffer {
  if (!habit.isJson) {
    // Lengths of one digit more or less than the one before.
    const size = random.pick([8, 9, 10, 11, 99, 100, 101, 999, 1000, 4095, 4096, 9999, 10_000])
    return Buffer.from(`{"a":"${`${mark} `.repeat(Math.ceil(size / 11)).slice(0, size - 8)}"}`)
  }
  const most = random.pick([3, 3, 3, 60, 400, 1500, 6000, 12_000, 36_000])
  const count = habit.words > 0 ? habit.words - random.int(habit.words >> 3) : random.int(most)
  const content = `${mark} `.repeat(count)
  const options = asksUsage ? ',"stream_options":{"include_usage":true}' : ''
  const long = habit.isSlow ? ',"long":true' : ''
  const text = `{"model":"m","stream":${isStream},"messages":[{"role":"user","content":"${content}"}],"user":"${mark}"${options}${long}}`
  return Buffer.from(text)
}

interface Framed {
  readonly lines: readonly Line[]
  readonly body: Uint8Array
}

function frame(lines: readonly Line[], body: Uint8Array | null, isOld: boolean, random: Random): Framed {
  if (body === null) return { lines, body: Buffer.alloc(0) }
  const waits: Line[] = !isOld && body.length > 0 && random.once(30) ? [['Expect', '100-continue']] : []
  if (isOld || !random.once(8)) {
    const length: Line = [random.once(20) ? 'CONTENT-LENGTH' : 'Content-Length', String(body.length)]
    const at = random.once(4) ? 1 + random.int(lines.length) : lines.length
    return { lines: [...lines.slice(0, at), length, ...lines.slice(at), ...waits], body }
  }
  return { lines: [...lines, ['Transfer-Encoding', 'chunked'], ...waits], body: chunked(body, random, '') }
}

/** A body in chunks of any sizes, some with extensions; `trailers`: lines behind the last one. */
export function chunked(body: Uint8Array, random: Random, trailers: string): Buffer {
  const parts: Uint8Array[] = []
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, 1 + random.int(random.pick([16, 600, 9000, 70_000])))
    const digits = random.once(6) ? size.toString(16).toUpperCase().padStart(5, '0') : size.toString(16)
    const more = random.once(12) ? ';name=value' : ''
    parts.push(Buffer.from(`${digits}${more}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'))
    at += size
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)])
}
