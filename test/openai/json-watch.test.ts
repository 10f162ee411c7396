import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createJsonWatch } from '../../src/openai/json-watch.ts'
import { encode } from './_json.ts'
import { recorded, tear } from './_tear.ts'

function watchOf(text: string, size = 1000) {
  const watch = createJsonWatch()
  const bytes = encode(text)
  for (const chunk of tear(
    bytes,
    Array.from({ length: Math.ceil(bytes.length / size) }, () => size),
  ))
    watch.chunk(chunk)
  return watch
}

const told = (promptTokens: number, completionTokens: number, cachedTokens: number | null = null) => ({
  promptTokens,
  cachedTokens,
  completionTokens,
  estimated: false,
})
const vectors = JSON.stringify(Array.from({ length: 20_000 }, (_, i) => i / 7))

test('answers of a real engine tell their usage and id', () => {
  assert.deepEqual(watchOf(recorded('chat-cached-prompt-2')[0]!).usage(), told(138, 2, 128))
  assert.match(watchOf(recorded('chat')[0]!).id()!, /^chatcmpl-/)
  assert.deepEqual(watchOf(recorded('messages')[0]!).usage(), told(22, 8))
  assert.deepEqual(watchOf(recorded('response')[0]!).usage(), told(22, 8))
  assert.match(watchOf(recorded('response')[0]!).id()!, /^resp_/)
})

test('usage behind a large list of embeddings is found', () => {
  const watch = watchOf(`{"id":"embd-1","data":[${vectors}],"usage":{"prompt_tokens":6,"total_tokens":6}}`)
  assert.deepEqual(watch.usage(), told(6, 0))
  assert.equal(watch.id(), 'embd-1')
})

test('usage before a large list is found', () => {
  assert.deepEqual(watchOf(`{"usage":{"prompt_tokens":6},"data":[${vectors}]}`).usage(), told(6, 0))
})

test('words of a text or a tool named usage are no usage', () => {
  const text = JSON.stringify({
    usage: { prompt_tokens: 3, completion_tokens: 1 },
    text: '"usage":{"prompt_tokens":99}',
    pad: vectors,
    tools: { usage: { type: 'string' } },
  })
  assert.deepEqual(watchOf(text).usage(), told(3, 1))
})

test('a list of SGLang answers sums up', () => {
  assert.deepEqual(
    watchOf(
      '[{"meta_info":{"prompt_tokens":1,"completion_tokens":2}},{"meta_info":{"prompt_tokens":3,"cached_tokens":1,"completion_tokens":4}}]',
    ).usage(),
    told(4, 6, 1),
  )
})

test('what is no JSON tells nothing', () => {
  const watch = watchOf('Internal Server Error')
  assert.equal(watch.usage(), null)
  assert.equal(watch.id(), null)
  assert.equal(createJsonWatch().usage(), null)
})
