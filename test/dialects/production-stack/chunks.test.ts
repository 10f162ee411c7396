import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunksOf } from '../../../src/dialects/production-stack/chunks.ts'
import { scanTop } from '../../../src/openai/scan.ts'

const cut = (body: unknown, model = 'm'): number[] | null => {
  const chunks = chunksOf(scanTop(new TextEncoder().encode(JSON.stringify(body))), model)
  return chunks && [...chunks]
}
const says = (...contents: unknown[]) => ({
  messages: contents.map((content) => ({ role: 'user', content })),
})

for (const [what, prompt, count] of [
  ['a short prompt is one chunk', 'hi', 1],
  ['128 characters are one', 'a'.repeat(128), 1],
  ['one more is a short one more', 'a'.repeat(129), 2],
  ['characters are code points', '😀'.repeat(128), 1],
] as const)
  test(what, () => assert.equal(cut({ prompt })?.length, count))

test('prompts that begin alike have the same first chunks, and others have none in common', () => {
  const [a, b] = [cut({ prompt: `${'a'.repeat(256)}x` }), cut({ prompt: `${'a'.repeat(256)}y` })]
  assert.deepEqual(a?.slice(0, 2), b?.slice(0, 2))
  assert.notEqual(a?.[2], b?.[2])
  const tail = 'b'.repeat(128)
  assert.notEqual(cut({ prompt: 'a'.repeat(128) + tail })?.[1], cut({ prompt: 'c'.repeat(128) + tail })?.[1])
})

test('models are kept apart', () => assert.notDeepEqual(cut({ prompt: 'hi' }), cut({ prompt: 'hi' }, 'n')))

test('contents of messages are a line each, texts in parts have a blank between, and none is left out', () => {
  const parts = [{ type: 'text', text: 'b' }, { type: 'image_url' }, { type: 'text', text: 'c' }]
  assert.deepEqual(cut(says('a', null, parts)), cut({ prompt: 'a\nb c' }))
})

for (const body of [{ input: 'x' }, { messages: [] }, says(null), { prompt: '' }, {}])
  test(`${JSON.stringify(body)} has no prompt`, () => assert.equal(cut(body), null))

test('prompts in lists count, token ids too', () => {
  assert.deepEqual(cut({ prompt: ['a', 'b'] }), cut({ prompt: 'a\nb' }))
  assert.notDeepEqual(cut({ prompt: [1, 2] }), cut({ prompt: [1, 3] }))
})
