import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { scanTop } from '../../src/openai/scan.ts'
import { BodyError } from '../../src/openai/skip.ts'
import { encode, membersOf, rawObject } from './_json.ts'
import { lived } from '../_lived.ts'

const read = (text: string) => scanTop(encode(text))

test('the last of equal top-level keys is found in any valid JSON, and its value reads as JSON.parse reads it', () => {
  fc.assert(
    fc.property(rawObject, fc.nat(7), (text, shift) => {
      const expected = membersOf(text)
      // An offset inside a larger buffer: Node's bodies come from a pool.
      const top = scanTop(new Uint8Array(encode('"'.repeat(shift) + text).buffer, shift))
      assert.deepEqual(new Set(top.keys()), new Set(expected.keys()))
      for (const [key, raw] of expected) {
        assert.equal(top.raw(key), raw)
        const value = JSON.parse(raw) as unknown
        if (typeof value !== 'object') assert.equal(top.json(key), value)
        assert.equal(top.string(key), typeof value === 'string' ? value : null)
        assert.equal(top.boolean(key), typeof value === 'boolean' ? value : null)
        assert.equal(top.number(key), typeof value === 'number' ? value : null)
      }
    }),
    { numRuns: 500 },
  )
})

test('broken JSON never crashes: it is refused, or read when only a nested value is broken', () => {
  fc.assert(
    fc.property(rawObject, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 3 }), (text, at, noise) => {
      const bytes = encode(text)
      bytes.set(
        noise.subarray(0, bytes.length),
        at % (bytes.length - Math.min(noise.length, bytes.length) + 1),
      )
      try {
        const top = scanTop(bytes)
        for (const key of top.keys()) top.json(key)
      } catch (error) {
        assert.ok(error instanceof BodyError, String(error))
      }
    }),
    { numRuns: 500 },
  )
})

test('a flat object is refused exactly when JSON.parse refuses it', () => {
  const pieces = [
    '{',
    '}',
    '"a"',
    '"b\\u0041"',
    ':',
    ',',
    '1',
    '-0.5e+3',
    '01',
    'true',
    'nul',
    '"\\x"',
    '"\t"',
    ' ',
    '\n',
    '"',
  ]
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
      const text = `{"k":1${parts.join('')}`
      let expected = true
      try {
        JSON.parse(text)
      } catch {
        expected = false
      }
      let got = true
      try {
        read(text)
      } catch {
        got = false
      }
      // Nested objects are not checked; all else must agree.
      if (text.lastIndexOf('{') === 0) assert.equal(got, expected, text)
    }),
    { numRuns: 500 },
  )
})

const refused: Record<string, string> = {
  nothing: '',
  blanks: ' \n',
  'an array': '[1]',
  'a string': '"a"',
  null: 'null',
  'an unterminated object': '{"a":1',
  'an unterminated key': '{"a',
  'an unterminated string': '{"a":"b',
  'an escaped closing quote': '{"a":"b\\"}',
  'an unterminated array': '{"a":[1',
  'a mismatched bracket': '{"a":[}]}',
  'a missing colon': '{"a" 1}',
  'a missing value': '{"a":}',
  'a missing comma': '{"a":1 "b":2}',
  'a trailing comma': '{"a":1,}',
  'a leading comma': '{,"a":1}',
  'an unquoted key': '{a:1}',
  'trailing garbage': '{"a":1}x',
  'two objects': '{}{}',
  'a bad literal': '{"a":truth}',
  'NaN, which Python would take': '{"a":NaN}',
  'a number with a leading zero': '{"a":012}',
  'a lone minus': '{"a":-}',
  'a raw newline in a string': '{"a":"b\nc"}',
  'a raw newline late in a long string': `{"a":"${'x'.repeat(100)}\n${'x'.repeat(100)}"}`,
  'a bad escape': '{"a":"\\x41"}',
  'a short \\u escape': '{"a":"\\u12"}',
  'a no-break space between tokens': '{\u00a0"a":1}',
}
for (const [what, text] of Object.entries(refused)) {
  test(`${what} is refused with a position`, () => {
    assert.throws(
      () => read(text),
      (error) => error instanceof BodyError && error.position <= encode(text).length,
    )
  })
}

test('an escaped key is its unescaped name', () => {
  assert.equal(read('{"mod\\u0065l":"x"}').string('model'), 'x')
})

test('the last of equal keys counts, however they are escaped', () => {
  assert.equal(read('{"model":"a","m\\u006fdel":"b"}').string('model'), 'b')
  assert.equal(read('{"m\\u006fdel":"b","model":"a"}').string('model'), 'a')
})

test('a UTF-8 byte order mark is skipped', () => {
  assert.equal(read('\ufeff{"model":"a"}').string('model'), 'a')
})

test('UTF-16 is refused', () => {
  const text = '{"model":"a"}'
  assert.throws(
    () => scanTop(new Uint8Array(Uint16Array.from(text, (char) => char.charCodeAt(0)).buffer)),
    BodyError,
  )
})

test('invalid UTF-8 in a value that is read is refused', () => {
  const bytes = encode('{"model":"a?"}')
  bytes[11] = 0xff
  assert.throws(() => scanTop(bytes).string('model'), BodyError)
})

test('ten thousand levels of nesting are no recursion', () => {
  const text = `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)},"b":${'{"x":'.repeat(10_000)}1${'}'.repeat(10_000)},"c":1}`
  assert.equal(read(text).number('c'), 1)
})

test('an integer beyond 2^53 keeps its digits', () => {
  assert.equal(read('{"bootstrap_room":9223372036854775807}').raw('bootstrap_room'), '9223372036854775807')
})

test('kinds are told by the value', () => {
  const top = read('{"a":"","b":-1,"c":false,"d":null,"e":{},"f":[]}')
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => top.kind(key)),
    ['string', 'number', 'boolean', 'null', 'object', 'array', null],
  )
})

test('hostile bodies take time in proportion to their size', () => {
  const hostile = ['\\'.repeat(2), '"\\"",', '[', '{"":', '"",', '\\"'].map(
    (unit) => (size: number) => encode(`{"a":["${unit.repeat(size / unit.length)}`),
  )
  for (const make of hostile) {
    const start = lived()
    assert.throws(() => scanTop(make(2 ** 22)), BodyError)
    assert.ok(lived() - start < 10_000, 'four megabytes took more than ten seconds')
  }
})

test('objects inside the body can be scanned in place', () => {
  const bytes = encode('{"a":{"b":1}}')
  const top = scanTop(bytes)
  assert.deepEqual(scanTop(bytes, top.span('a')!).span('b'), { start: 10, end: 11 })
})
