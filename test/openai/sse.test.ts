import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { join } from '../../src/openai/bytes.ts'
import { readEvent, SseSplitter } from '../../src/openai/sse.ts'
import { decode, encode } from './_json.ts'
import { tear } from './_tear.ts'

/** What a client would be handed, and every byte that came out. */
function split(chunks: readonly Uint8Array[], limit?: number) {
  const splitter = new SseSplitter(limit)
  const parts = chunks.flatMap((chunk) => splitter.push(chunk))
  const rest = splitter.end()
  const events = parts.map(readEvent).filter((event) => event.data !== null)
  return { parts, events, rest, bytes: join(rest === null ? parts : [...parts, rest]) }
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
const line = fc.constantFrom(
  'data: {"a":1}',
  'data:x',
  'data',
  'data: ',
  ': ping',
  'event: delta',
  'id: 1',
  '',
  'data: 好😀',
  'x',
)
const stream = fc.oneof(
  fc
    .tuple(fc.array(line, { maxLength: 12 }), lineEnd)
    .map(([lines, end]) => lines.map((text) => text + end).join('')),
  fc.array(fc.tuple(line, lineEnd), { maxLength: 12 }).map((lines) => lines.flat().join('')),
)

test('any tearing gives the same events, and all bytes come out as they went in', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(40)), (text, cuts) => {
      const bytes = encode(text)
      const whole = split([bytes])
      const torn = split(tear(bytes, cuts))
      assert.deepEqual(torn.events, whole.events)
      assert.deepEqual(torn.bytes, bytes)
    }),
    { numRuns: 500 },
  )
})

const framings: [string, string, { name: string; data: string }[]][] = [
  [
    'line feeds',
    'data: a\n\ndata: b\n\n',
    [
      { name: '', data: 'a' },
      { name: '', data: 'b' },
    ],
  ],
  ['carriage returns and line feeds', 'event: x\r\ndata: a\r\n\r\n', [{ name: 'x', data: 'a' }]],
  ['carriage returns', 'event: x\rdata: a\r\r', [{ name: 'x', data: 'a' }]],
  ['a comment before the data', ': hi\ndata: a\n\n', [{ name: '', data: 'a' }]],
  ['several data lines', 'data: a\ndata: b\n\n', [{ name: '', data: 'a\nb' }]],
  ['no blank behind the colon', 'data:a\n\n', [{ name: '', data: 'a' }]],
  ['a data line without a colon', 'data\n\n', [{ name: '', data: '' }]],
  ['comments alone', ': a\n\n: b\n\n', []],
]
for (const [name, text, events] of framings) {
  test(`events are read from ${name}`, () => assert.deepEqual(split([encode(text)]).events, events))
}

test('an event that never ends is handed out at the end', () => {
  const { events, rest } = split([encode('data: a\n\ndata: b\n')])
  assert.equal(events.length, 1)
  assert.equal(decode([rest!]), 'data: b\n')
})

test('an event above the limit comes out in pieces', () => {
  const { parts, bytes } = split(tear(encode(`data: ${'x'.repeat(100)}\n\n`), [30, 30, 30]), 50)
  assert.ok(parts.length > 1)
  assert.equal(bytes.length, 108)
})

test('a whole event in one chunk is a view of it, not a copy', () => {
  const chunk = encode('data: a\n\ndata: b\n\n')
  assert.deepEqual(
    split([chunk]).parts.map((part) => part.buffer === chunk.buffer),
    [true, true],
  )
})
