import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeFrame,
  encodeFrame,
  encodeJson,
  HEADER,
  MAX_FRAME,
  readJson,
  TunnelProtocolError,
  type FrameKind,
} from '../../src/tunnel/frames.ts'

const ofLinks: FrameKind[] = ['hello', 'welcome', 'ping', 'pong', 'ack']
const ofStreams: FrameKind[] = ['open', 'head', 'data', 'end', 'reset', 'credit']

test('a frame is read as it was written', () => {
  const stream = fc.oneof(
    fc.record({ kind: fc.constantFrom(...ofLinks), stream: fc.constant(0) }),
    fc.record({ kind: fc.constantFrom(...ofStreams), stream: fc.integer({ min: 1, max: 0xffff_ffff }) }),
  )
  fc.assert(
    fc.property(stream, fc.maxSafeNat(), fc.uint8Array({ maxLength: 300 }), (of, value, payload) => {
      const frame = decodeFrame(encodeFrame(of.kind, of.stream, value, payload))
      assert.deepEqual({ ...frame, payload: new Uint8Array(frame.payload) }, { ...of, value, payload })
    }),
  )
})

test('any bytes are a frame or refused, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const { kind, stream, value, payload } = decodeFrame(bytes)
        assert.deepEqual(encodeFrame(kind, stream, value, payload), bytes)
      } catch (error) {
        assert.ok(error instanceof TunnelProtocolError)
      }
    }),
    { numRuns: 500 },
  )
})

test('a frame holds at most a mebibyte', () => {
  const largest = encodeFrame('data', 1, 0, new Uint8Array(MAX_FRAME - HEADER))
  assert.equal(largest.byteLength, MAX_FRAME)
  assert.equal(decodeFrame(largest).payload.byteLength, MAX_FRAME - HEADER)
  assert.throws(() => encodeFrame('data', 1, 0, new Uint8Array(MAX_FRAME)), RangeError)
  assert.throws(() => decodeFrame(new Uint8Array(MAX_FRAME + 1)), TunnelProtocolError)
})

test('numbers that are no offsets are refused', () => {
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53])
    assert.throws(() => encodeFrame('data', 1, value), RangeError)
  for (const stream of [-1, 2 ** 32]) assert.throws(() => encodeFrame('data', stream), RangeError)
  const bytes = encodeFrame('data', 1, Number.MAX_SAFE_INTEGER)
  bytes[5] = 0xff
  assert.throws(() => decodeFrame(bytes), TunnelProtocolError)
})

test('the payload of a frame is a copy of what was given, and JSON must be an object', () => {
  const given = new Uint8Array([1, 2, 3])
  const bytes = encodeFrame('data', 1, 0, given)
  given.fill(9)
  assert.deepEqual([...decodeFrame(bytes).payload], [1, 2, 3])
  assert.deepEqual(readJson(decodeFrame(encodeJson('open', 1, { path: '/é' }))), { path: '/é' })
  for (const text of ['[]', 'null', '1', '{', '\u0000']) {
    const payload = new TextEncoder().encode(text)
    assert.throws(() => readJson({ kind: 'open', payload }), TunnelProtocolError)
  }
  assert.throws(() => readJson({ kind: 'open', payload: new Uint8Array([0x22, 0xff]) }), TunnelProtocolError)
})
