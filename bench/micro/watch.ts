// Times watching a stream, in µs an event: `node bench/micro/watch.ts`.
import { createStreamWatch } from '../../src/openai/watch.ts'
import { EventFinder } from '../../src/openai/sse.ts'
import type { Shape } from '../../src/openai/shapes.ts'

const encoder = new TextEncoder()
const chat = `data: ${JSON.stringify({ id: 'chatcmpl-88ef88dff19a37f4', object: 'chat.completion.chunk', created: 1795274034, model: 'tiny', choices: [{ index: 0, delta: { content: ' Paris' }, logprobs: null, finish_reason: null, token_ids: null }] })}\n\n`
const messages = `event: content_block_delta\ndata: ${JSON.stringify({ type: 'content_block_delta', delta: { type: 'text_delta', text: ' Paris' }, index: 0 })}\n\n`
const responses = `event: response.output_text.delta\ndata: ${JSON.stringify({ content_index: 0, delta: ' Paris', item_id: 'msg_1234567890', logprobs: [], output_index: 0, sequence_number: 7, type: 'response.output_text.delta' })}\n\n`

const cases: [string, Shape, boolean, string[]][] = [
  ['chat, an event a chunk', 'chat', false, [chat]],
  ['chat, an event a chunk, stripping', 'chat', true, [chat]],
  ['chat, ten events a chunk, stripping', 'chat', true, [chat.repeat(10)]],
  ['chat, torn in the middle, stripping', 'chat', true, [chat.slice(0, 100), chat.slice(100)]],
  ['messages, an event a chunk', 'messages', false, [messages]],
  ['responses, an event a chunk', 'responses', false, [responses]],
]

function time(events: number, run: () => unknown): string {
  let best = Infinity
  for (let round = 0; round < 8; round++) {
    const start = performance.now()
    for (let i = 0; i < 20_000; i++) run()
    if (round > 1) best = Math.min(best, ((performance.now() - start) * 1000) / 20_000 / events)
  }
  return best.toFixed(2)
}

for (const [name, shape, stripUsage, texts] of cases) {
  const chunks = texts.map((text) => encoder.encode(text))
  const events = texts.join('').split('\n\n').length - 1
  const watch = createStreamWatch({ shape, stripUsage, now: () => 0, onFirstToken() {} })
  const took = time(events, () => chunks.map((chunk) => watch.chunk(chunk)))
  console.log(`${name.padEnd(38)} ${(texts.join('').length / events).toFixed(0)} bytes: ${took} µs an event`)
}
const finder = new EventFinder()
const one = encoder.encode(chat)
console.log(
  `${'only finding the end of an event'.padEnd(38)} ${one.length} bytes: ${time(1, () => finder.findEnd(one, 0))} µs`,
)
