// A head that is known by its bytes is what the parser would have told of them; whatever else comes is left to the parser.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { KnownHeads } from '../../../../adapters/node/client/known-heads.ts'
import { probe, type OnHead, type Parser } from '../../../../adapters/node/client/parser.ts'
import { readRequest, type RequestHead } from '../../../../adapters/node/client/request.ts'

const shape = probe()
const server = createServer()
/** Where all is read to: what was there before lies behind what is there now. */
const room = Buffer.alloc(16_384, 'x')

/** What the parser tells of bytes at the start of a connection, and how long the body is that comes whole with it. */
function told(text: string): { head: RequestHead; body: number } | null {
  const socket = new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() })
  socket.on('error', () => undefined)
  server.emit('connection', socket)
  const { parser } = socket as unknown as { parser: Parser }
  const { head: headSlot, body: bodySlot, complete } = shape!.slots
  const own = [headSlot, bodySlot, complete].map((slot) => [slot, parser[slot]!] as const)
  let head: RequestHead | null = null
  let body = 0
  const onHead: OnHead = (...[major, minor, headers, number, path, , , , keepsAlive]) => {
    head ??= readRequest({
      method: shape!.methods[number]!,
      target: path ?? parser._url,
      headers: headers ?? parser._headers,
      memory: {},
      isModern: major === 1 && minor === 1,
      keepsAlive,
    })
    return 0
  }
  parser[headSlot] = onHead as Parser[number]
  parser[bodySlot] = (bytes: Uint8Array) => (body += bytes.byteLength)
  parser[complete] = () => 0
  try {
    parser.execute(Buffer.from(text, 'latin1'))
    return head && { head, body }
  } finally {
    for (const [slot, callback] of own) parser[slot] = callback
    socket.destroy()
  }
}

/** What the bytes are known as, and the body that then follows. */
function found(heads: KnownHeads, text: string): { head: RequestHead; body: number } | null {
  const end = room.write(text, 'latin1')
  const head = heads.find(room, end)
  return head && { head, body: Math.min(end - heads.size, head.length!) }
}

function learnt(...texts: string[]): KnownHeads {
  const heads = new KnownHeads()
  for (const text of texts) {
    const one = told(text)
    assert.ok(one)
    heads.learn(room, room.write(text, 'latin1'), one.head)
  }
  return heads
}

const POST = (length: string, more = '') =>
  `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nContent-Length: ${length}\r\nAccept: */*${more}\r\n\r\n`
const GET = 'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n'

test('a head that comes again is known, whatever its body is', { skip: shape === null }, () => {
  const heads = learnt(`${POST('5')}hello`, GET)
  for (const text of [
    `${POST('5')}again`,
    `${POST('12')}hello, world`,
    `${POST('0')}`,
    GET,
    `${GET}${GET}`,
  ]) {
    const one = found(heads, text)
    assert.ok(one, text)
    assert.deepEqual(one, told(text))
  }
  assert.equal(found(heads, POST('123456789012345'))?.head.length, 123_456_789_012_345)
  const [again, other] = [found(heads, POST('7')), found(heads, POST('7'))]
  assert.equal(again?.head, other?.head)
})

const unknown: Record<string, string> = {
  'a sign': POST('+5'),
  'a minus': POST('-5'),
  'a list': POST('5,5'),
  'no digits': POST(''),
  'a blank within': POST('5 5'),
  'a leading zero': POST('05'),
  hexadecimal: POST('0x5'),
  'more digits than are exact': POST('1234567890123456'),
  'a second length': POST('5', '\r\nContent-Length: 6'),
  'another framing': POST('5', '\r\nTransfer-Encoding: chunked'),
  'another header': POST('5', '\r\nX: y'),
  'another method': POST('5').replace('POST', 'PUT'),
  'another spelling': POST('5').replace('Host', 'host'),
  'another key': POST('5').replace('Bearer k', 'Bearer l'),
  'a blank line before it': `\r\n${POST('5')}`,
  'its first part': POST('5').slice(0, -1),
  'its first part, up to the digits': POST('5').slice(0, POST('5').indexOf('5')),
}
for (const [name, text] of Object.entries(unknown)) {
  test(`${name} is the parser's`, { skip: shape === null }, () => {
    assert.equal(found(learnt(`${POST('5')}hello`), text), null)
  })
}

const PROXIED = (id: string, key = 'k', length = '5') =>
  `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Request-Id:  ${id}\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${length}\r\nAccept: */*\r\n\r\n`

test(
  'a head whose id is another one each time is known from the fourth on, with that id',
  { skip: shape === null },
  () => {
    const heads = learnt(PROXIED('a1'), PROXIED('b2'), PROXIED('c3'))
    for (const text of [
      PROXIED('d4'),
      PROXIED('a-much-longer-one', 'k', '17'),
      PROXIED('5'),
      PROXIED('two words'),
    ]) {
      const one = found(heads, text)
      assert.ok(one, text)
      assert.deepEqual(one, told(text))
    }
    assert.equal(found(heads, PROXIED('d4', 'l')), null)
  },
)

test('what was read of a head is kept where it differs in its length alone', { skip: shape === null }, () => {
  const heads = learnt(PROXIED('a1'), PROXIED('b2'), PROXIED('c3'))
  const [one, same, other] = [PROXIED('d4'), PROXIED('d4', 'k', '6'), PROXIED('d5')].map(
    (text) => found(heads, text)!.head,
  )
  assert.equal(one!.memory, same!.memory)
  assert.notEqual(one!.memory, other!.memory)
})

test('keys that differ, too, are told as they came', { skip: shape === null }, () => {
  const heads = learnt(
    ...['a', 'b', 'c', 'd'].map((one) => PROXIED('1', one)),
    PROXIED('2', 'a'),
    PROXIED('3', 'b'),
    PROXIED('4', 'c'),
  )
  const text = PROXIED('9', 'sk-other')
  assert.deepEqual(found(heads, text), told(text))
})

const holes: Record<string, string> = {
  'no value': PROXIED(''),
  'blanks around': PROXIED('  a '),
  'a tab': PROXIED('a\tb'),
  latin1: PROXIED('caf\xe9'),
  'a zero': PROXIED('a\0b'),
  'a bare line feed': PROXIED('a\nTransfer-Encoding: chunked'),
  'a bare carriage return': PROXIED('a\rb'),
  'another line': PROXIED('a\r\nTransfer-Encoding: chunked'),
  'a folded line': PROXIED('a\r\n b'),
  'the end of the head': PROXIED('a\r\n\r\nGET / HTTP/1.1'),
  'another host': PROXIED('a').replace('Host: a', 'Host: b'),
  'its first part': PROXIED('a').slice(0, 70),
  'more than 8 KB': PROXIED('a'.repeat(8192)),
}
for (const [name, text] of Object.entries(holes)) {
  test(`${name} where an id was is the parser's`, { skip: shape === null }, () => {
    assert.equal(found(learnt(PROXIED('a1'), PROXIED('b2'), PROXIED('c3')), text), null)
  })
}

for (const line of ['Host', 'Connection', 'Expect', 'Transfer-Encoding', 'Upgrade', 'Proxy-Connection']) {
  test(`the value of ${line} is never free`, { skip: shape === null }, () => {
    const text = (value: string) => POST('5', `\r\n${line}: ${value}`)
    const values = ['keep-alive', 'Keep-Alive', 'keep-Alive', 'KEEP-ALIVE'].map(text)
    const heads = new KnownHeads()
    for (const one of values) {
      const head = told(one)
      if (head !== null) heads.learn(room, room.write(one, 'latin1'), head.head)
    }
    for (const other of ['close', 'chunked', '100-continue', 'websocket', 'b'])
      assert.equal(found(heads, text(other)), null)
  })
}

const strange: Record<string, string> = {
  'a head whose body comes in chunks': POST('5').replace('Content-Length: 5', 'Transfer-Encoding: chunked'),
  'a head that closes its connection': POST('5', '\r\nConnection: close'),
  'a head that waits to go on': POST('5', '\r\nExpect: 100-continue'),
  'a head without a host': POST('5').replace('Host', 'Most'),
  'a head of HTTP/1.0': POST('5', '\r\nConnection: keep-alive').replace('HTTP/1.1', 'HTTP/1.0'),
  'a head of more than 8 KB': POST('5', `\r\nX: ${'y'.repeat(8192)}`),
  'a head behind a blank line': `\r\n${POST('5')}`,
}
for (const [name, text] of Object.entries(strange)) {
  test(`${name} is not remembered`, { skip: shape === null }, () => {
    assert.equal(found(learnt(text), text), null)
  })
}

test('four heads are remembered, and after eight in vain no more', { skip: shape === null }, () => {
  const texts = Array.from({ length: 12 }, (_, i) => GET.replace('models', `models/${i}`))
  const heads = learnt(...texts)
  const known = texts.map((text) => found(heads, text) !== null)
  assert.deepEqual(
    known,
    [0, 1, 2, 7].reduce((all, i) => all.with(i, true), Array(12).fill(false)),
  )
})

test('what is known is what the parser tells', { skip: shape === null }, () => {
  const line = fc.constantFrom(
    'Host: a',
    'X: y',
    'x-long: zzzzzzzzzzzzzzzzzzzzz',
    'Connection: keep-alive',
    'content-length:5',
    'Content-Length: 17 ',
    'CONTENT-LENGTH:\t0',
  )
  const base = fc
    .record({ method: fc.constantFrom('GET', 'POST', 'HEAD'), lines: fc.uniqueArray(line, { maxLength: 5 }) })
    .map(({ method, lines }) => `${[`${method} /a HTTP/1.1`, 'Host: b', ...lines].join('\r\n')}\r\n\r\n`)
  const piece = fc.constantFrom(
    '5',
    '05',
    '+5',
    '5,5',
    ' ',
    '\t',
    '',
    '1',
    '99',
    '\r\n',
    '\r',
    '\n',
    ':',
    '\0',
    'é',
    'x',
    'X: y\r\n',
  )
  const change = fc.record({ at: fc.nat(200), size: fc.nat(3), piece })
  let hits = 0
  fc.assert(
    fc.property(
      base,
      fc.array(change, { maxLength: 2 }),
      fc.boolean(),
      fc.array(fc.constantFrom('a', 'bb', 'c d'), { maxLength: 3 }),
      (text, changes, atDigits, ids) => {
        const first = told(text)
        if (first === null) return
        const heads = new KnownHeads()
        heads.learn(room, room.write(text, 'latin1'), first.head)
        for (const id of ids) {
          const like = text.replace('y', id).replace('zzz', id)
          const one = told(like)
          if (one !== null) heads.learn(room, room.write(like, 'latin1'), one.head)
        }
        const digits = text.search(/\d+[ \t]*\r\nX?|\d+[ \t]*\r\n\r\n$/)
        let other = text
        for (const { at, size, piece } of changes) {
          const from = atDigits && digits > 0 ? digits : Math.min(at, other.length)
          other = other.slice(0, from) + piece + other.slice(from + size)
        }
        const one = found(heads, other)
        if (one === null) return
        hits++
        assert.deepEqual(one, told(other))
      },
    ),
    { numRuns: 2000 },
  )
  assert.ok(hits > 200, `${hits}`)
})
