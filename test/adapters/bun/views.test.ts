// Payload of whole chunks is one piece, without its frames, wherever it lies.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Views } from '../../../adapters/bun/views.ts'
import { Frames } from '../../../adapters/node/wire/frames.ts'

function framesOf(...payloads: string[]): Frames {
  const text = payloads.map((payload) => `${payload.length.toString(16)}\r\n${payload}\r\n`).join('')
  memory.write(text, 'latin1')
  const frames = new Frames()
  assert.ok(frames.find(memory, text.length))
  return frames
}

const memory = Buffer.alloc(65_536)
const views = new Views()
const long = 'long'.repeat(1000)

for (const payloads of [['one'], ['one', 'two', 'three'], [long], [long, 'short', long], ['x'.repeat(300)]]) {
  const sizes = payloads.map((payload) => payload.length)
  test(`the payload of chunks of ${sizes.join(', ')} bytes`, () => {
    for (let time = 0; time < 2; time++)
      assert.equal(Buffer.from(views.of(framesOf(...payloads))).toString('latin1'), payloads.join(''))
  })
}

test('a view of the same place is made once, and another memory has its own', () => {
  const view = views.of(framesOf('again'))
  assert.equal(views.of(framesOf('other')), view)
  const frames = framesOf('moved')
  frames.bytes = Buffer.from(memory)
  assert.notEqual(views.of(frames), view)
})
