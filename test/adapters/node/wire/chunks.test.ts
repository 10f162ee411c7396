import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChunkDecoder } from '../../../../adapters/node/wire/chunks.ts'

/** Feeds `wire` in pieces cut at `cuts`; gives the payload, and how many bytes of the last read belonged to the message. */
function decode(wire: Buffer, cuts: readonly number[]) {
  const decoder = new ChunkDecoder()
  const places = [...new Set(cuts.map((cut) => cut % (wire.length + 1)))].sort((a, b) => a - b)
  const payload: Buffer[] = []
  let used = 0
  let from = 0
  for (const to of [...places, wire.length]) {
    if (to === from || decoder.done) continue
    // A copy, for the decoder works in the read itself.
    payload.push(Buffer.from(decoder.decode(Buffer.from(wire.subarray(from, to)))))
    used = from + decoder.consumed
    from = to
  }
  return { payload: Buffer.concat(payload), isDone: decoder.done, used }
}

test('any chunks, cut anywhere, give the payload back and stop at the end of the message', () => {
  const chunk = fc.record({
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
    zeros: fc.constantFrom('', '0', '00', '0'.repeat(20)),
    extension: fc.constantFrom('', ';a', ' ;b="c"', ';x=y;z'),
    isUpper: fc.boolean(),
  })
  const trailer = fc.constantFrom('', 'X-A: b\r\n', 'A: b\r\nC: d\r\n')
  const property = fc.property(
    fc.array(chunk),
    trailer,
    fc.array(fc.nat()),
    fc.nat(9),
    (chunks, tail, cuts, extra) => {
      const parts: Uint8Array[] = []
      for (const { bytes, zeros, extension, isUpper } of chunks) {
        const size = bytes.length.toString(16)
        parts.push(
          Buffer.from(`${zeros}${isUpper ? size.toUpperCase() : size}${extension}\r\n`),
          bytes,
          Buffer.from('\r\n'),
        )
      }
      const message = Buffer.concat([...parts, Buffer.from(`0\r\n${tail}\r\n`)])
      const { payload, isDone, used } = decode(Buffer.concat([message, Buffer.alloc(extra, 'x')]), cuts)
      assert.ok(isDone)
      assert.equal(used, message.length)
      assert.deepEqual(payload, Buffer.concat(chunks.map(({ bytes }) => bytes)))
    },
  )
  fc.assert(property)
})

for (const wire of [
  '\r\n',
  'g\r\n',
  '5\nhello',
  '5\r\nhelloX',
  '5\r\nhello\n',
  '-1\r\n',
  '1000000000000\r\n',
  'ffffffffffffffff\r\n',
  '0\r\nA: b\n\r\n',
  '0\r\nA\rb',
]) {
  test(`${JSON.stringify(wire)} is refused`, () => {
    assert.throws(() => decode(Buffer.from(wire), []), { name: 'UpstreamFailure', kind: 'protocol' })
  })
}

test('extensions, trailers and zeros before a size have a limit', () => {
  assert.throws(() => decode(Buffer.from('0'.repeat(20_000)), []), { kind: 'protocol' })
  assert.throws(() => decode(Buffer.from(`1;${'x'.repeat(20_000)}`), []), { kind: 'protocol' })
  assert.throws(() => decode(Buffer.from(`0\r\n${'x'.repeat(20_000)}`), []), { kind: 'protocol' })
})
