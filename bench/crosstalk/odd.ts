// Odd requests behind usual ones: what node:http refuses is refused with the same status, and no engine sees what node:http does not.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Seen } from './engine.ts'
import { digest, put } from './messages.ts'
import { Random } from './random.ts'
import type { Door } from './router.ts'

/** A node:http server that takes requests as the router does, and what it saw by the names of conversations. */
export interface Oracle {
  readonly server: Server
  readonly door: Door
  readonly odd: Map<string, string[]>
}

export async function startOracle(): Promise<Oracle> {
  const odd = new Map<string, string[]>()
  const server = createServer({ maxHeaderSize: 65_536, keepAliveTimeout: 5000 }, (request, response) => {
    // node:http would take the first of several hosts.
    const hosts = request.rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === 'host')
    if (hosts.length > 1) return void response.writeHead(400, { Connection: 'close' }).end()
    // It would take a body that is packed in another way for a plain one.
    if (request.headers['transfer-encoding']?.includes(',') === true)
      return void response.writeHead(501, { Connection: 'close' }).end()
    const parts: Buffer[] = []
    request.on('error', () => undefined)
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { method = '', url = '' } = request
      const name = /[?&]odd=([\w-]+)/.exec(url)?.[1]
      if (name !== undefined)
        odd.set(name, [...(odd.get(name) ?? []), `${method} ${pathOf(url)} ${digest(Buffer.concat(parts))}`])
      response.end('odd')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { server, door: { port, host: '127.0.0.1' }, odd }
}

/** Without what an absolute target begins with. */
function pathOf(url: string): string {
  return url.replace(/^http:\/\/[^/]*/, '')
}

/** Requests that are made of the usual one: its request line, its headers, and its body `{"a":1}`. */
type Twist = (usual: Usual, random: Random) => string

interface Usual {
  readonly start: string
  readonly lines: readonly string[]
}

const BODY = '{"a":1}'

function text({ start, lines }: Usual, more: readonly string[], body: string): string {
  return [start, ...lines, ...more, '', body].join('\r\n')
}

function lengths(...values: string[]): Twist {
  return (usual) =>
    text(
      usual,
      values.map((value) => `Content-Length: ${value}`),
      BODY,
    )
}

function withLines(lines: readonly string[], body: string): Twist {
  return (usual) => text(usual, lines, body)
}

/** Puts something anywhere into the head. */
function into(what: string): Twist {
  return (usual, random) => {
    const whole = text(usual, ['Content-Length: 7'], BODY)
    const at = random.int(whole.indexOf('\r\n\r\n') + 4)
    return whole.slice(0, at) + what + whole.slice(at)
  }
}

function started(start: (own: string) => string): Twist {
  return (usual) => text({ ...usual, start: start(usual.start) }, ['Content-Length: 7'], BODY)
}

const CHUNKED = 'Transfer-Encoding: chunked'

const TWISTS: readonly Twist[] = [
  lengths('7', '7'),
  lengths('7', '0'),
  lengths('7, 7'),
  lengths('07'),
  lengths('0000000000000007'),
  lengths('000000000000000000000007'),
  lengths('+7'),
  lengths('-7'),
  lengths('0x7'),
  lengths('7 7'),
  lengths('7\t'),
  lengths(''),
  lengths('7;'),
  lengths('\u00b2'),
  lengths('99999999999999999999'),
  lengths('7\u0000'),
  lengths('7\u000b'),
  lengths('0'),
  lengths('3'),
  withLines(['Content-Length : 7'], BODY),
  withLines([' Content-Length: 7'], BODY),
  withLines(['Content-Length\t: 7'], BODY),
  withLines(['Content-Length:7'], BODY),
  withLines(['content-length:\t 7'], BODY),
  withLines(['Content-Length:', ' 7'], BODY),
  withLines(['X-A: b', '\tfolded', 'Content-Length: 7'], BODY),
  withLines([CHUNKED, 'Content-Length: 7'], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Content-Length: 7', CHUNKED], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines([CHUNKED, CHUNKED], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Transfer-Encoding: Chunked'], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Transfer-Encoding: gzip, chunked'], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Transfer-Encoding: chunked, gzip'], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Transfer-Encoding: xchunked'], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Transfer-Encoding: identity', 'Content-Length: 7'], BODY),
  withLines(['Transfer-Encoding : chunked'], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Transfer-Encoding:\u000bchunked'], `7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines([CHUNKED], `7\n${BODY}\r\n0\r\n\r\n`),
  withLines([CHUNKED], `7 \r\n${BODY}\r\n0\r\n\r\n`),
  withLines([CHUNKED], `07;a=b\r\n${BODY}\r\n0\r\nX: y\r\n\r\n`),
  withLines([CHUNKED], `7;a\nb\r\n${BODY}\r\n0\r\n\r\n`),
  withLines([CHUNKED], `0x7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines([CHUNKED], `-7\r\n${BODY}\r\n0\r\n\r\n`),
  withLines([CHUNKED], `7\r\n${BODY}xx0\r\n\r\n`),
  withLines([CHUNKED], `7\r\n${BODY}\r\n0\r\nContent-Length: 7\r\n\r\n`),
  withLines([CHUNKED], `10000000000000007\r\n${BODY}\r\n0\r\n\r\n`),
  withLines(['Content-Length: 7', 'Host: other'], BODY),
  withLines(['Content-Length: 7', 'Expect: 200-maybe'], BODY),
  withLines(['Content-Length: 7', 'Connection: close'], BODY),
  withLines(['Content-Length: 7', 'Connection: upgrade', 'Upgrade: h2c'], BODY),
  withLines(['Content-Length: 7', `X-Huge: ${'h'.repeat(70_000)}`], BODY),
  withLines(['Content-Length: 7', ': nameless'], BODY),
  withLines(['Content-Length: 7', 'no colon'], BODY),
  withLines(['Content-Length: 7', 'a b: c'], BODY),
  withLines(['Content-Length: 7', 'X-\u00e9: c'], BODY),
  into('\u0000'),
  into('\r'),
  into('\n'),
  into('\r\n'),
  into('\r\n '),
  into('\u007f'),
  into(' '),
  into('\u00ff'),
  ({ start, lines }) =>
    text({ start, lines: lines.filter((line) => !line.startsWith('Host')) }, ['Content-Length: 7'], BODY),
  (usual) => text(usual, ['Content-Length: 7'], BODY).replaceAll('\r\n', '\n'),
  (usual) => `\r\n${text(usual, ['Content-Length: 7'], BODY)}`,
  (usual) => `\r\n\r\n\r\n${text(usual, ['Content-Length: 7'], BODY)}`,
  (usual) => ` ${text(usual, ['Content-Length: 7'], BODY)}`,
  (usual) => `x${text(usual, ['Content-Length: 7'], BODY)}`,
  started((own) => own.replace('POST', 'post')),
  started((own) => own.replace('POST ', 'POST  ')),
  started((own) => own.replace('POST ', 'POST http://router.test')),
  started((own) => own.replace('HTTP/1.1', 'HTTP/1.0')),
  started((own) => own.replace('HTTP/1.1', 'HTTP/1.2')),
  started((own) => own.replace('HTTP/1.1', 'HTTP/2.0')),
  started((own) => own.replace(' HTTP/1.1', '')),
  started((own) => own.replace('HTTP/1.1', 'http/1.1')),
  started((own) => own.replace('HTTP/1.1', 'HTTP/1.1 ')),
  started((own) => own.replace('odd=', '\u0000odd=')),
  started((own) => own.replace('?odd=', '#?odd=')),
]

/** How long what waits for more waits at first, ms; each time more. */
const PATIENCE = 500

interface Heard {
  readonly statuses: readonly number[]
  readonly calls: readonly string[]
  /** What was said last may have been lost. */
  readonly isReset: boolean
}

export interface OddRig {
  readonly door: Door
  readonly seen: Seen
  readonly oracle: Oracle
  readonly wrong: (what: string) => void
  /** Statuses are those of node:http. */
  readonly isNode: boolean
}

/** Times that a difference has to show in a row: what a reset overtakes is chance. */
const TIMES = 3

/** One odd request, told to both. */
export async function converseOddly(rig: OddRig, seed: number): Promise<void> {
  let differs: string | null = null
  for (let i = 0; i < TIMES; i++) {
    differs = await tellBoth(rig, { seed, name: `c${seed}-${i}`, patience: PATIENCE * 4 ** i })
    if (differs === null) return
  }
  rig.wrong(`odd ${seed}: ${differs}`)
}

interface Try {
  readonly seed: number
  readonly name: string
  readonly patience: number
}

/** What they took differently; null: nothing. */
async function tellBoth(rig: OddRig, { seed, name, patience }: Try): Promise<string | null> {
  const random = new Random(seed)
  const usual: Usual = {
    start: `POST /v1/echo?odd=${name} HTTP/1.1`,
    lines: random.shuffled([
      'Host: router.test',
      'content-type: application/json',
      `x-own: ${'a'.repeat(random.int(9))}`,
    ]),
  }
  const twist = random.pick(TWISTS)
  const odd = twist(usual, random)
  const before = Array.from({ length: random.int(4) }, () => text(usual, ['Content-Length: 7'], BODY))
  const after = `GET /v1/echo/after?odd=${name} HTTP/1.1\r\nHost: router.test\r\nConnection: close\r\n\r\n`
  const pieces = [...before, odd, after]
  const [ours, theirs] = await Promise.all([
    tell(rig.door, pieces, rig.seen.odd, { name, seed, patience, count: before.length }),
    tell(rig.oracle.door, pieces, rig.oracle.odd, { name, seed, patience, count: before.length }),
  ])
  // The last one is as usual as those before: whether it is still heard is no matter.
  const last = `GET /v1/echo/after?odd=${name} ${digest('')}`
  if (rig.isNode) return compare(odd, ours, { ...theirs, calls: [...theirs.calls, last] })
  // Another server refuses less: there all that counts is that no more requests come out than went in.
  return ours.calls.length > pieces.length ? `too many calls, ${JSON.stringify({ odd, ours })}` : null
}

interface Talk extends Try {
  /** How many usual requests come first. */
  readonly count: number
}

/** Says it: the usual ones wait for their answers, so that all of them come to be known. */
async function tell(
  door: Door,
  pieces: readonly string[],
  calls: ReadonlyMap<string, readonly string[]>,
  { name, seed, patience, count }: Talk,
): Promise<Heard> {
  const random = new Random(seed)
  const socket = connect({ ...door, noDelay: true })
  let came = ''
  let wake: () => void = () => undefined
  socket.on('data', (bytes) => {
    came += bytes.toString('latin1')
    wake()
  })
  let isReset = false
  socket.on('error', () => (isReset = true))
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      wake()
      resolve()
    })
  })
  const statusesOf = () => [...came.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map(([, status]) => Number(status))
  const isApart = random.once(2)
  for (const [at, piece] of pieces.entries()) {
    if (!isApart && at >= count) {
      await put(socket, Buffer.from(pieces.slice(at).join(''), 'latin1'), random)
      break
    }
    await put(socket, Buffer.from(piece, 'latin1'), random)
    for (let i = 0; at < count && statusesOf().length <= at && i < 100 && !socket.destroyed; i++)
      await Promise.race([new Promise<void>((resolve) => (wake = resolve)), sleep(50)])
    if (at >= count) await sleep(5)
    if (statusesOf().some((status) => status >= 400)) break
  }
  const timer = setTimeout(() => socket.destroy(), patience)
  await closed
  clearTimeout(timer)
  // What came at last is still on its way to the engine's list.
  return { statuses: statusesOf(), calls: calls.get(name) ?? [], isReset }
}

/** Behind such a request nothing may come; whether that is told before its answer is chance. */
const ENDS = /\r\nConnection:|^(?!.* HTTP\/1\.1)/

function compare(odd: string, ours: Heard, theirs: Heard): string | null {
  const about = JSON.stringify({ odd: odd.slice(0, 600), ours, theirs })
  const others = [...theirs.calls]
  for (const call of ours.calls) {
    const at = others.indexOf(call)
    if (at < 0) return `an engine got what node:http did not get, ${about}`
    others.splice(at, 1)
  }
  if (ours.isReset || theirs.isReset || ENDS.test(odd)) return null
  const refusalOf = (statuses: readonly number[]) => statuses.find((status) => status >= 400 && status < 500)
  const [own, other] = [refusalOf(ours.statuses), refusalOf(theirs.statuses)]
  return own === other ? null : `refused with ${own}, by node:http with ${other}, ${about}`
}
