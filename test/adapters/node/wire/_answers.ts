// Generated answers of a worker: well-formed ones and each way to break them that a client must survive.
import fc from 'fast-check'

/** One answer: its bytes in the packets that they come in. */
export interface Case {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly wire: string
  readonly cuts: readonly number[]
  /** The worker closes once it has sent all; else only when both sides have nothing more to say. */
  readonly closes: boolean
  /** Of a POST of ours: the body is a stream, and the answer comes before it was sent. */
  readonly isEarly: boolean
}

const line = (name: string, value: string) => `${name}: ${value}\r\n`

const status = fc.constantFrom('200', '200', '200', '201', '204', '205', '299', '304', '404', '503', '999')
const statusLine = fc.oneof(
  { weight: 12, arbitrary: status.map((code) => `HTTP/1.1 ${code} OK\r\n`) },
  { weight: 1, arbitrary: status.map((code) => `HTTP/1.0 ${code} OK\r\n`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'HTTP/1.1 200\r\n',
      'HTTP/1.1 200 \r\n',
      'HTTP/1.1 200 \xdcn\xef\r\n',
      'HTTP/1.2 200 OK\r\n',
      'HTTP/2.0 200 OK\r\n',
      'http/1.1 200 OK\r\n',
      'HTTP/1.1 20 OK\r\n',
      'HTTP/1.1  200 OK\r\n',
      'HTTP/1.1 2000 OK\r\n',
      'HTTP/1.1 099 OK\r\n',
      'HTTP/1.1\t200 OK\r\n',
      'HTTP/1.1 200 OK\n',
      '\r\n',
      'HTTP/1.1 200 O\rK\r\n',
      'HTTP/1.1 200 O\0K\r\n',
      'GET / HTTP/1.1\r\n',
      '\r\nHTTP/1.1 200 OK\r\n',
    ),
  },
)

const field = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      line('X-A', 'a'),
      line('x-a', 'b'),
      line('X-Odd_1', 'a b'),
      line('Set-Cookie', 'a=b'),
      'X-E:\r\n',
      'X-S: \t spaced \t \r\n',
      'X-N:none\r\n',
      line('X-H', '\xe9\xff\x80'),
      line('content-type', 'a/b'),
      line('Keep-Alive', 'timeout=5'),
      line('X-T', 'a\tb'),
      line('Server', 'x'.repeat(300)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'X-F: a\r\n b\r\n',
      'X-F: a\r\n\tb\r\n',
      'nocolon\r\n',
      'X-A : a\r\n',
      ': a\r\n',
      'X-A: a\n',
      'X-A: a\0b\r\n',
      'X-A: a\rb\r\n',
      'X-A: \x01\r\n',
      'X-A: \x7f\r\n',
      '\xe9: a\r\n',
      ' X-A: a\r\n',
      'X A: a\r\n',
      'X-(A): a\r\n',
      'X-A: a\n\n',
      'X-A: a\r\r\n',
      '"X": a\r\n',
    ),
  },
)

const connection = fc.constantFrom(
  '',
  '',
  '',
  '',
  line('Connection', 'close'),
  line('connection', 'keep-alive'),
  line('Connection', 'X-A, close'),
  line('CONNECTION', 'Keep-Alive, X-A'),
  line('Connection', 'closed'),
  line('Connection', 'x-a') + line('Connection', 'close'),
  line('Connection', ',, CLOSE ,'),
)

const text = fc.string({
  maxLength: 60,
  unit: fc.constantFrom('a', 'b', '\r', '\n', '0', '\xff', 'HTTP/1.1 '),
})

const length = fc
  .tuple(
    text,
    fc.constantFrom<[string, (size: number) => string]>(
      ...([
        ['exact', (size) => line('Content-Length', `${size}`)],
        ['exact', (size) => line('content-length', `${size}`)],
        ['exact', (size) => line('Content-Length', `${size}`)],
        ['padded', (size) => line('Content-Length', `  ${size}\t `)],
        ['zeros', (size) => line('Content-Length', `000${size}`)],
        ['twice', (size) => line('Content-Length', `${size}`) + line('content-length', `${size}`)],
        ['unequal', (size) => line('Content-Length', `${size}`) + line('Content-Length', `${size + 1}`)],
        ['list', (size) => line('Content-Length', `${size}, ${size}`)],
        ['long', (size) => line('Content-Length', `${size + 3}`)],
        ['short', (size) => line('Content-Length', `${Math.max(0, size - 3)}`)],
        ['huge', () => line('Content-Length', '99999999999999999999')],
        ['sign', (size) => line('Content-Length', `+${size}`)],
        ['negative', () => line('Content-Length', '-5')],
        ['two', (size) => line('Content-Length', `${size} ${size}`)],
        ['hex', () => line('Content-Length', '0x5')],
        ['empty', () => 'Content-Length:\r\n'],
        ['odd', (size) => `Content-Length : ${size}\r\n`],
      ] as [string, (size: number) => string][]),
    ),
  )
  .map(([body, [, write]]) => ({ fields: write(body.length), body }))

const extension = fc.constantFrom('', '', '', ';a', ';a=b', ';a="b;c"', ' ;a', '\t', ' ', ';', ';a\n', ' 5')
const chunk = fc.tuple(text, fc.nat(12), extension).map(([bytes, how, ext]) => {
  const size = (bytes.length || 1).toString(16)
  const data = bytes || 'z'
  if (how === 1) return `0x${size}\r\n${data}\r\n`
  if (how === 2) return `${size}${ext}\n${data}\r\n`
  if (how === 3) return `${size}${ext}\r\n${data}\n`
  if (how === 4) return `${size}${ext}\r\n${data}x\r\n`
  if (how === 5) return `000${size.toUpperCase()}${ext}\r\n${data}\r\n`
  return `${size}${ext}\r\n${data}\r\n`
})
const soundChunk = fc
  .tuple(text, fc.constantFrom('', '', ';a', ';a=b'))
  .map(([bytes, ext]) => (bytes ? `${bytes.length.toString(16)}${ext}\r\n${bytes}\r\n` : ''))
const last = fc.constantFrom(
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\n\r\n',
  '0;a\r\n\r\n',
  '0\r\nX-T: a\r\n\r\n',
  '000\r\nA: b\r\nC: d\r\n\r\n',
  '',
  '0\r\n',
  '0\n\n',
  '0\r\nnocolon\r\n\r\n',
  '-0\r\n\r\n',
  'ffffffffffffffff\r\n',
  '0\r\nX: a\n\r\n',
)
const coding = fc.constantFrom(
  'chunked',
  'chunked',
  'chunked',
  'Chunked',
  ' chunked ',
  'identity, chunked',
  'xchunked',
  'gzip, chunked',
  'chunked, gzip',
  'chunked, chunked',
  'identity',
  '',
  'chunked;a=b',
  '"chunked"',
)
const chunked = fc.oneof(
  fc
    .tuple(fc.array(soundChunk, { maxLength: 4 }), last)
    .map(([chunks, end]) => ({ fields: line('Transfer-Encoding', 'chunked'), body: chunks.join('') + end })),
  fc.tuple(coding, fc.array(chunk, { maxLength: 3 }), last, fc.nat(9)).map(([value, chunks, end, more]) => ({
    fields: line('transfer-encoding', value) + (more === 0 ? line('Transfer-Encoding', 'chunked') : ''),
    body: chunks.join('') + end,
  })),
  // Two framings at once: the classic of smuggling.
  fc.tuple(soundChunk, fc.nat(70), fc.boolean()).map(([bytes, size, isFirst]) => {
    const framings = [line('Content-Length', `${size}`), line('Transfer-Encoding', 'chunked')]
    return { fields: (isFirst ? framings : framings.reverse()).join(''), body: `${bytes}0\r\n\r\n` }
  }),
)
const untilEnd = text.map((body) => ({ fields: '', body }))

const interim = fc.constantFrom(
  '',
  '',
  '',
  '',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  'HTTP/1.1 102 \r\n\r\n'.repeat(3),
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
  'HTTP/1.1 199 X\r\nContent-Length: 5\r\n\r\n',
)
const garbage = fc.constantFrom(
  '',
  '',
  '',
  '',
  '\r\n',
  'x',
  'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond',
  '0\r\n\r\n',
)

export const answer: fc.Arbitrary<Case> = fc
  .record({
    method: fc.constantFrom<Case['method']>('GET', 'GET', 'POST', 'HEAD'),
    interim,
    statusLine,
    connection,
    before: fc.array(field, { maxLength: 2 }),
    framing: fc.oneof(length, chunked, untilEnd),
    after: fc.array(field, { maxLength: 2 }),
    garbage,
    cuts: fc.oneof(fc.constant([]), fc.array(fc.nat(), { maxLength: 6 }), fc.constant([-1])),
    closes: fc.boolean(),
    isEarly: fc.boolean(),
  })
  .map((parts) => ({
    method: parts.method,
    wire: [
      parts.interim,
      parts.statusLine,
      parts.connection,
      parts.before.join(''),
      parts.framing.fields,
      parts.after.join(''),
      '\r\n',
      parts.framing.body,
      parts.garbage,
    ].join(''),
    cuts: parts.cuts,
    closes: parts.closes,
    isEarly: parts.isEarly && parts.method === 'POST',
  }))
