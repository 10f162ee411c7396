import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodyMemory } from '../../../adapters/node/body-memory.ts'

const MiB = 1_048_576

test('the memory of a body that is over serves the next one', () => {
  const memory = new BodyMemory()
  const first = memory.room(100_000).fill(1)
  const at = first.buffer
  memory.free(first)
  const kept = memory.kept
  const second = memory.room(99_000)
  assert.ok(kept >= 100_000)
  assert.equal(memory.kept, 0)
  assert.equal(second.byteLength, 99_000)
  assert.ok(second.every((byte) => byte === 1))
  assert.notEqual(second.buffer, at)
})

test('whoever still looks at a body that is over sees nothing of the next one', () => {
  const memory = new BodyMemory()
  const body = memory.room(100_000)
  const views = [body, body.subarray(10, 20), new Int32Array(body.buffer, 0, 5)]
  memory.free(body)
  memory.room(100_000).fill(7)
  assert.deepEqual(
    views.map((view) => view.byteLength),
    [0, 0, 0],
  )
})

test('a body that is over twice is over once', () => {
  const memory = new BodyMemory()
  const body = memory.room(100_000)
  memory.free(body)
  const { kept } = memory
  memory.free(body)
  assert.equal(memory.kept, kept)
})

test('what came from elsewhere stays as it is', () => {
  const memory = new BodyMemory()
  const pooled = Buffer.from('a piece of a buffer that others share')
  const part = new Uint8Array(200_000).subarray(5, 100_000)
  const others = [new Uint8Array(100_000), memory.mark(part), memory.mark(pooled)]
  for (const bytes of others) memory.free(bytes)
  assert.equal(memory.kept, 0)
  assert.ok(others.every(({ buffer }) => !(buffer as ArrayBuffer).detached))
})

test('a piece that is a whole body, and a body larger than the largest that is kept, are let go at once', () => {
  const memory = new BodyMemory()
  const given = [memory.mark(new Uint8Array(16_384)), memory.room(MiB)]
  for (const bytes of given) memory.free(bytes)
  assert.ok(given.every(({ byteLength }) => byteLength === 0))
  assert.equal(memory.kept, 0)
})

test('no more than 16 MiB wait for bodies, and none of it once nobody comes', () => {
  const memory = new BodyMemory()
  const size = MiB - 2048
  const busy = Array.from({ length: 40 }, () => memory.room(size))
  for (const bytes of busy) memory.free(bytes)
  assert.equal(memory.kept, 16 * MiB)
  memory.sweep()
  // Four were needed since then.
  const again = Array.from({ length: 4 }, () => memory.room(size))
  for (const bytes of again) memory.free(bytes)
  memory.sweep()
  assert.equal(memory.kept, 4 * MiB)
  memory.sweep()
  assert.equal(memory.kept, 0)
})

test('bodies have as many bytes as they asked for, in a buffer that is at most a quarter larger', () => {
  const memory = new BodyMemory()
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 * MiB }), (size) => {
      const body = memory.room(size)
      assert.equal(body.byteLength, size)
      assert.ok(body.buffer.byteLength <= (size + 2048) * 1.25 + 4)
      memory.free(body)
    }),
  )
})

test('a head is put before a body by one who sends it, and by nobody else', () => {
  const memory = new BodyMemory()
  const body = memory.room(100_000).fill(7)
  assert.equal(memory.withFront(body, 3000), null)
  assert.equal(memory.withFront(body.subarray(1), 10), null)
  const whole = memory.withFront(body, 300)
  assert.ok(whole)
  whole.fill(1, 0, 300)
  assert.deepEqual([whole.byteLength, whole[299], whole[300], body[0]], [100_300, 1, 7, 7])
  // The write may still be under way when it is sent to another.
  assert.equal(memory.withFront(body, 300), null)
  memory.free(body)
  assert.equal(whole.byteLength, 0)
  assert.ok(memory.withFront(memory.room(100_000), 300))
})

test('a body that is no one of ours has no place for a head', () => {
  const memory = new BodyMemory()
  const small = memory.room(1000)
  const others = [small, memory.copyOf(new Uint8Array(1000)), memory.mark(new Uint8Array(20_000))]
  others.push(new Uint8Array(20_000).subarray(2048), memory.room(2 * MiB))
  assert.deepEqual(
    others.map((body) => memory.withFront(body, 300)),
    others.map(() => null),
  )
})

test('a body that was waited for stays where it came to, and a head fits before it', () => {
  const memory = new BodyMemory()
  for (const head of [1, 150, 151, 2048]) {
    const place = memory.ahead(head, 100_000)!
    assert.equal(place.byteOffset % 4, 0)
    assert.ok(place.byteLength >= head + 100_000)
    place.fill(7, head, head + 100_000)
    const body = memory.keep(place, head, head + 100_000)
    assert.deepEqual([body.byteLength, body[0], body.buffer], [100_000, 7, place.buffer])
    assert.equal(memory.withFront(body.subarray(1), 10), null)
    const whole = memory.withFront(body, 2000)
    assert.deepEqual([whole?.byteLength, whole?.[2000]], [102_000, 7])
    assert.equal(memory.withFront(body, 10), null)
    memory.free(body)
    assert.deepEqual([body.byteLength, place.byteLength], [0, 0])
  }
})

test('no more than 8 MiB wait for bodies that may come, and a head has to fit', () => {
  const memory = new BodyMemory()
  assert.equal(memory.ahead(2049, 100_000), null)
  const places: Buffer[] = []
  for (let place = memory.ahead(150, 250_000); place !== null; place = memory.ahead(150, 250_000))
    places.push(place)
  const size = places[0]!.buffer.byteLength
  assert.equal(places.length, Math.floor((8 * MiB) / size))
  memory.giveUp(places[0]!)
  assert.deepEqual([memory.kept, places[0]!.byteLength], [size, 0])
  places[0] = memory.ahead(150, 250_000)!
  assert.deepEqual([memory.kept, memory.ahead(150, 250_000)], [0, null])
  memory.keep(places[0], 150, 250_150)
  assert.ok(memory.ahead(150, 250_000))
})
