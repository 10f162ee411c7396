// Heads of several responses go out as they were written, whoever is first, and whatever the kernel leaves to the socket.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Desk } from '../../../../adapters/node/client/desk.ts'
import { DateLine, keptFor, newPage, writeHead, type Asked } from '../../../../adapters/node/client/head.ts'
import type { Head } from '../../../../adapters/node/client/exchange.ts'
import type { SocketWriter } from '../../../../adapters/node/writer.ts'

const date = Object.defineProperty(new DateLine(), 'text', { value: 'Date: now\r\n' })
const asked = (more: Partial<Asked> = {}): Asked => ({
  isModern: true,
  isHead: false,
  keepsAlive: true,
  kept: keptFor(75),
  ...more,
})

/** What a head looks like on a page of its own. */
function alone(head: Head, owner: Asked): string {
  const size = writeHead(newPage(0), head, owner, date).size
  const page = newPage(size)
  writeHead(page, head, owner, date)
  return page.bytes.toString('latin1')
}

/** Takes all, or keeps what it gets as a socket does that is behind. */
class Writer {
  isPlain = true
  isEmpty = true
  /** The kernel takes no more than a part of the next write. */
  isSlow = false
  readonly #got: Uint8Array[] = []

  bytes(bytes: Uint8Array): boolean {
    this.isEmpty = !this.isSlow
    this.#got.push(this.isEmpty && this.isPlain ? bytes.slice() : bytes)
    return this.isEmpty
  }

  get text(): string {
    return Buffer.concat(this.#got).toString('latin1')
  }
}

const name = fc.constantFrom(
  'x-request-id',
  'Set-Cookie',
  'set-cookie',
  'Content-Length',
  'transfer-encoding',
  'connection',
  'DATE',
  'x',
)
const value = fc.oneof(
  fc.constantFrom('req-0123456789', 'req-0123456780', 'close', 'w1', 'w2'),
  fc.string({
    unit: fc.integer({ min: 0x80, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 5,
  }),
  fc.constant('y'.repeat(20_000)),
)
const head = fc.record({
  status: fc.constantFrom(200, 200, 200, 404, 204),
  statusText: fc.constantFrom('', '', '', 'Made'),
  headers: fc.array(fc.tuple(name, value), { maxLength: 5 }).map((pairs) => pairs.flat()),
})
const step = fc.record({
  head,
  isModern: fc.boolean(),
  keepsAlive: fc.boolean(),
  /** Of how many responses before this one the heads wait still. */
  waits: fc.nat({ max: 3 }),
  body: fc.constantFrom(null, '', 'abc', 'z'.repeat(16_384)),
  writer: fc.constantFrom('plain', 'plain', 'plain', 'slow', 'encrypted', 'behind', 'copy'),
})

test('what is sent is what was written, in any order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const desk = new Desk()
      const due: { send: () => void }[] = []
      const sent: { writer: Writer; expected: string }[] = []
      for (const { head, waits, body, writer: kind, ...more } of steps) {
        const owner = asked(more)
        desk.write(owner, head, date)
        const writer = new Writer()
        writer.isPlain = kind !== 'encrypted'
        writer.isEmpty = kind !== 'behind'
        writer.isSlow = kind === 'slow' || kind === 'behind'
        const send = () => {
          const piece = body === null ? null : Buffer.from(body)
          if (kind === 'copy') writer.bytes(desk.copy(owner, '3\r\n'))
          else {
            desk.fetch(owner)
            desk.send(writer as unknown as SocketWriter, piece, '3\r\n', '\r\n0\r\n')
          }
          const rest = kind === 'copy' ? '3\r\n' : `3\r\n${body ?? ''}\r\n0\r\n`
          sent.push({ writer, expected: alone(head, owner) + rest })
        }
        due.push({ send })
        while (due.length > waits) due.shift()!.send()
      }
      for (const { send } of due) send()
      // Only now: what sockets keep must have stayed as it was.
      for (const { writer, expected } of sent) assert.equal(writer.text, expected)
    }),
    { numRuns: 100 },
  )
})

for (const [what, given, more, wanted] of [
  [
    'an answer with a length',
    ['content-length', '2'],
    {},
    `content-length: 2\r\nDate: now\r\n${keptFor(75)}`,
  ],
  ['an answer without', ['a', 'b'], {}, `a: b\r\nDate: now\r\n${keptFor(75)}Transfer-Encoding: chunked\r\n`],
  ['one for a client of HTTP/1.0', [], { isModern: false }, 'Date: now\r\nConnection: close\r\n'],
  [
    'a date and a connection of its own',
    ['dAtE', 'then', 'Connection', 'Close'],
    {},
    'dAtE: then\r\nConnection: Close\r\nTransfer-Encoding: chunked\r\n',
  ],
  [
    'a framing of somebody else',
    ['Transfer-Encoding', 'gzip'],
    { isHead: true },
    `Date: now\r\n${keptFor(75)}`,
  ],
] as const)
  test(`the head of ${what}`, () => {
    const head = { status: 200, statusText: '', headers: given }
    assert.equal(alone(head, asked(more)), `HTTP/1.1 200 OK\r\n${wanted}\r\n`)
  })

for (const [what, head] of Object.entries({
  'a status text that ends its line': { statusText: 'a\r\nb' },
  'an empty name': { headers: ['', 'a'] },
  'a name with a blank': { headers: ['a b', 'a'] },
  'a value that ends its line': { headers: ['a', 'b\r\nc: d'] },
  'a value that is no latin1': { headers: ['a', '\u0141'] },
}))
  test(`${what} is never written, and the next head is as ever`, () => {
    const desk = new Desk()
    const good = { status: 200, statusText: '', headers: ['a', 'b'] }
    const writer = new Writer()
    const send = () => {
      const owner = asked()
      desk.write(owner, good, date)
      desk.fetch(owner)
      desk.send(writer as unknown as SocketWriter, null, '', '')
    }
    send()
    assert.throws(() => desk.write(asked(), { ...good, ...head }, date), TypeError)
    send()
    assert.equal(writer.text, alone(good, asked()).repeat(2))
  })
