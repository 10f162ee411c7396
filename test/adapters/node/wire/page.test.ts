// Heads that are written one over the other read as if each had a page of its own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Page } from '../../../../adapters/node/wire/page.ts'

type Part = { readonly name: string; readonly value: string } | { readonly text: string }

/** The head as latin1 text, or null where it was given up. */
function write(page: Page, from: number, parts: readonly Part[]): string | null {
  page.begin(from)
  for (const part of parts) {
    if ('text' in part) page.text(part.text)
    else if (page.line(part.name, part.value) < 0) return null
  }
  const size = page.end()
  if (size > page.bytes.length) {
    page.renew(size)
    return write(page, from, parts)
  }
  const text = page.bytes.toString('latin1', from, size)
  // Bodies come behind heads.
  page.bytes.fill(0x21, size)
  return text
}

const expected = (parts: readonly Part[]): string | null => {
  const isBroken = (part: Part) =>
    'name' in part &&
    (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(part.name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(part.value))
  if (parts.some(isBroken)) return null
  return `${parts.map((part) => ('text' in part ? part.text : `${part.name}: ${part.value}\r\n`)).join('')}\r\n`
}

// Few, so that heads are alike; some are equal but not the same object, of the same length, no latin1, or end their line.
const text = fc.constantFrom(
  '',
  'a',
  'b',
  'x-id',
  'X-Id',
  'set-cookie',
  'req-0123456789abc',
  'req-0123456789abd',
  'voil\xe0',
  '\u0141',
  'a b',
  'a\r\nb',
)
const value = fc.oneof(
  text,
  fc.string({ unit: 'binary', maxLength: 3 }),
  text.map((one) => `${one}!`.slice(0, -1)),
)
const part = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      name: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom('a', 'x-id', 'X-Id', 'set-cookie') },
        { weight: 1, arbitrary: text },
      ),
      value,
    }),
  },
  { weight: 1, arbitrary: fc.record({ text: fc.constantFrom('HTTP/1.1 200 OK\r\n', 'a', 'date: now\r\n') }) },
)
const heads = fc.array(
  fc.record({ from: fc.constantFrom(0, 0, 0, 9), parts: fc.array(part, { maxLength: 6 }) }),
  { maxLength: 12 },
)

test('a head reads as it was written, whatever lay there before', () => {
  fc.assert(
    fc.property(heads, (given) => {
      const page = new Page(80)
      for (const { from, parts } of given) assert.equal(write(page, from, parts), expected(parts))
    }),
    { numRuns: 1000 },
  )
})

test('a line that lies there is not written again', () => {
  const page = new Page(80)
  write(page, 0, [{ name: 'a', value: 'b' }])
  page.bytes[0] = 0x41
  assert.equal(write(page, 0, [{ name: 'a', value: 'b' }]), 'A: b\r\n\r\n')
  page.forget()
  assert.equal(write(page, 0, [{ name: 'a', value: 'b' }]), 'a: b\r\n\r\n')
})

test('values that are always others are written all the same, and checked', () => {
  const values = fc.array(fc.constantFrom('req-1', 'req-2', 'req-3', 'req\xe0', 're\n', 'longer'), {
    maxLength: 20,
  })
  fc.assert(
    fc.property(values, values, (ids, workers) => {
      const page = new Page(80)
      for (const [i, value] of ids.entries()) {
        const parts = [
          { name: 'x-id', value },
          { text: 'date: now\r\n' },
          { name: 'a', value: workers[i] ?? '' },
        ]
        assert.equal(write(page, 0, parts), expected(parts))
      }
    }),
    { numRuns: 500 },
  )
})
