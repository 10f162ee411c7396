import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChunkDecoder } from '../../../../adapters/node/wire/chunks.ts'
import { Frames } from '../../../../adapters/node/wire/frames.ts'

/** Looks at a read that lies in front of what an earlier one left there. */
function find(read: Buffer): { frames: Frames; isWhole: boolean } {
  const memory = Buffer.concat([read, Buffer.from('5\r\nstale\r\n')])
  const frames = new Frames()
  return { frames, isWhole: frames.find(memory, read.length) }
}

const payloads = ({ bytes, places, count }: Frames): string[] =>
  Array.from({ length: count }, (_, i) => bytes.toString('latin1', places[2 * i], places[2 * i + 1]))

const chunk = fc
  .record({ size: fc.integer({ min: 1, max: 300 }), zeros: fc.constantFrom('', '0'), isUpper: fc.boolean() })
  .map(({ size, zeros, isUpper }) => {
    const digits = zeros + size.toString(16)
    return {
      frame: `${isUpper ? digits.toUpperCase() : digits}\r\n${'\r\n'.repeat(size).slice(0, size)}\r\n`,
      size,
    }
  })

test('whole chunks are found as the decoder takes them', () => {
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1 }), (chunks) => {
      const wire = Buffer.from(chunks.map(({ frame }) => frame).join(''), 'latin1')
      const { frames, isWhole } = find(wire)
      assert.ok(isWhole)
      assert.equal(frames.size, wire.length)
      assert.deepEqual(
        payloads(frames).map((text) => text.length),
        chunks.map(({ size }) => size),
      )
      const decoder = new ChunkDecoder()
      const payload = Buffer.from(decoder.decode(Buffer.from(wire))).toString('latin1')
      assert.equal(payloads(frames).join(''), payload)
      assert.ok(decoder.isBetween)
    }),
  )
})

test('a read that is cut anywhere else is none of whole chunks', () => {
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 5 }), fc.nat(), (chunks, place) => {
      const wire = Buffer.from(chunks.map(({ frame }) => frame).join(''), 'latin1')
      const ends: number[] = []
      for (const { frame } of chunks) ends.push((ends.at(-1) ?? 0) + frame.length)
      const cut = 1 + (place % wire.length)
      assert.equal(find(wire.subarray(0, cut)).isWhole, ends.includes(cut))
    }),
  )
})

for (const wire of [
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;name\r\nhello\r\n',
  '5 \r\nhello\r\n',
  '5\nhello\r\n',
  '5\r\nhelloXX',
  '5\r\nhello\n\n',
  '\r\n5\r\nhello\r\n',
  '000005\r\nhello\r\n',
  'fffff\r\nhello\r\n',
  'hello',
])
  test(`${JSON.stringify(wire)} is left to the decoder`, () => {
    assert.equal(find(Buffer.from(wire)).isWhole, false)
  })

test('more chunks than there are places for are left to the decoder', () => {
  assert.equal(find(Buffer.from('1\r\nx\r\n'.repeat(512))).isWhole, true)
  assert.equal(find(Buffer.from('1\r\nx\r\n'.repeat(513))).isWhole, false)
})
