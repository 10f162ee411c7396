import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Landing } from '../../../../adapters/node/client/landing.ts'
import { arrivals } from '../../../../adapters/node/reader.ts'

const HEAD = 150

/** Where a lane reads to behind a request with so long a body, which was read to where all are. */
function behind(size: number): { landing: Landing; into: Buffer | undefined } {
  const landing = new Landing()
  return { landing, into: landing.next(arrivals, HEAD, size) }
}

test('behind a body that fits, or is too long, all is read to one place', () => {
  for (const size of [0, 1000, 65_386, 262_145, 5_000_000]) assert.equal(behind(size).into, undefined)
})

test('behind a long body the next one stays where it comes to', () => {
  const { landing, into } = behind(131_072)
  assert.ok(into && into.byteLength > HEAD + 131_072)
  assert.equal(landing.isPlace(into), false)
  into.fill(5, HEAD)
  const body = landing.bodyIn(into, HEAD, HEAD + 131_072)
  assert.deepEqual([body.buffer, body.byteLength, body[0]], [into.buffer, 131_072, 5])
  const next = landing.next(into, HEAD, 131_072)
  assert.ok(next && next.buffer !== into.buffer)
  landing.close()
})

test('a short body there is copied, and the next one comes to where all do', () => {
  const { landing, into } = behind(131_072)
  into!.fill(5, HEAD)
  const body = landing.bodyIn(into!, HEAD, HEAD + 1000)
  assert.notEqual(body.buffer, into!.buffer)
  assert.equal(landing.next(into!, HEAD, 1000), arrivals)
  assert.deepEqual([into!.byteLength, body.byteLength, body[0]], [0, 1000, 5])
})

test('a body in pieces has a place of its own, and the next one is read as before', () => {
  const { landing, into } = behind(131_072)
  const place = Buffer.alloc(100)
  assert.deepEqual([landing.isPlace(place), landing.isPlace(arrivals)], [true, false])
  assert.deepEqual([landing.back(into!), landing.back(place)], [undefined, into])
  assert.equal(landing.next(place, HEAD, 131_000), into)
  const larger = landing.next(into!, HEAD, 250_000)
  assert.ok(larger!.byteLength > HEAD + 250_000)
  assert.equal(into!.byteLength, 0)
  landing.close()
  assert.equal(larger!.byteLength, 0)
})
