import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeCommand, encodeMessage, FrameReader, readCommand, ZmtpError } from '../../src/zmtp/frames.ts'
import { greeting, readGreeting, readReady, readyData } from '../../src/zmtp/handshake.ts'
import { lived } from '../_lived.ts'

/** What a reader makes of bytes that come in these pieces. */
function readAll(bytes: Uint8Array, cuts: readonly number[], limit = 1_000_000) {
  const reader = new FrameReader(limit)
  const frames = []
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  let from = 0
  for (const end of [...ends, bytes.length]) {
    reader.push(bytes.slice(from, end))
    from = end
    for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame)
  }
  return frames
}

const part = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.uint8Array({ minLength: 250, maxLength: 260 }),
  fc.uint8Array({ minLength: 5000, maxLength: 9000 }),
)
const message = fc.array(part, { minLength: 1, maxLength: 4 })

describe('frames', () => {
  it('are the same wherever the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.array(fc.nat(60_000), { maxLength: 30 }),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages.map(encodeMessage))
          const frames = readAll(bytes, cuts)
          const parts = messages.flat()
          assert.deepEqual(
            frames.map(({ body }) => Buffer.from(body)),
            parts.map((one) => Buffer.from(one)),
          )
          const ends = messages.flatMap((one) => one.map((_, i) => i < one.length - 1))
          assert.deepEqual(
            frames.map(({ isMore }) => isMore),
            ends,
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  it('come out of single bytes', () => {
    const bytes = encodeMessage([new Uint8Array(3).fill(7), new Uint8Array(300).fill(8)])
    const frames = readAll(bytes, bytes.map((_, i) => i) as unknown as number[])
    assert.deepEqual(
      frames.map(({ body, isMore }) => [body.length, isMore]),
      [
        [3, true],
        [300, false],
      ],
    )
  })

  it('never write into the buffers that they were given', () => {
    const bytes = encodeMessage([new Uint8Array(40).fill(1)])
    const reader = new FrameReader(1000)
    const pieces = [bytes.slice(0, 10), bytes.slice(10, 30), bytes.slice(30)]
    const copies = pieces.map((piece) => piece.slice())
    for (const piece of pieces) reader.push(piece)
    assert.equal(reader.next()?.body.length, 40)
    assert.deepEqual(pieces, copies)
  })

  it('of unknown flags or of too many bytes end the connection before they are read', () => {
    assert.throws(() => readAll(Uint8Array.of(8, 0), []), ZmtpError)
    assert.throws(() => readAll(Uint8Array.of(0, 200), [], 100), /200 bytes, where 100 are allowed/)
    const long = Uint8Array.of(2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
    assert.throws(() => readAll(long, []), ZmtpError)
  })

  it('of a long message in tiny pieces cost what its length does', () => {
    const bytes = encodeMessage([new Uint8Array(1_000_000)])
    const reader = new FrameReader(2_000_000)
    const startedAt = lived()
    for (let at = 0; at < bytes.length; at += 100) {
      reader.push(bytes.subarray(at, at + 100))
      if (at < bytes.length - 100) assert.equal(reader.next(), null)
    }
    assert.equal(reader.next()?.body.length, 1_000_000)
    assert.ok(lived() - startedAt < 2000, 'copying all at each piece takes far longer')
  })

  it('carry commands by name', () => {
    const [frame] = readAll(encodeCommand('PING', Uint8Array.of(0, 1, 9)), [])
    assert.equal(frame?.isCommand, true)
    const { name, data } = readCommand(frame!.body)
    assert.deepEqual([name, [...data]], ['PING', [0, 1, 9]])
    assert.throws(() => readCommand(Uint8Array.of(9, 65)), ZmtpError)
  })
})

describe('the handshake', () => {
  it('knows its own greeting, and who speaks something else', () => {
    assert.equal(readGreeting(greeting()), 1)
    assert.throws(
      () => readGreeting(new TextEncoder().encode('HTTP/1.1 400 Bad Request'.padEnd(64))),
      /not speak ZMTP/,
    )
    const old = greeting()
    old[10] = 1
    assert.throws(() => readGreeting(old), /too old/)
    const curve = greeting()
    curve.set(new TextEncoder().encode('CURVE'), 12)
    assert.throws(() => readGreeting(curve), /asks for "CURVE"/)
  })

  it('tells of type and identity, and refuses a type that does not go with its own', () => {
    const ready = readyData('DEALER', new TextEncoder().encode('worker-1'))
    const facts = readReady(ready, 'ROUTER')
    assert.deepEqual([facts.type, new TextDecoder().decode(facts.identity)], ['DEALER', 'worker-1'])
    assert.throws(() => readReady(ready, 'SUB'), /is a DEALER, which SUB can't talk to/)
    assert.throws(() => readReady(ready.subarray(0, ready.length - 2), 'ROUTER'), /breaks off/)
  })

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        try {
          readReady(bytes, 'ROUTER')
        } catch (error) {
          assert.ok(error instanceof ZmtpError)
        }
      }),
      { numRuns: 300 },
    )
  })
})
