import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorEvent, isFirstToken, shapeOf } from '../../src/openai/shapes.ts'
import type { Shape } from '../../src/openai/shapes.ts'
import { readEvent, SseSplitter } from '../../src/openai/sse.ts'
import { encode } from './_json.ts'

const paths: [string, Shape][] = [
  ['/v1/chat/completions', 'chat'],
  ['/v1/completions?x=1', 'completions'],
  ['/v1/responses/', 'responses'],
  ['/v1/messages', 'messages'],
  ['/v1/messages/count_tokens', 'other'],
  ['/generate', 'generate'],
  ['/v1/embeddings', 'other'],
  ['/', 'other'],
]
for (const [path, shape] of paths) test(`${path} speaks ${shape}`, () => assert.equal(shapeOf(path), shape))

const delta = (value: unknown) => JSON.stringify({ choices: [{ index: 0, delta: value }] })
const tokens: [Shape, string, string][] = [
  ['chat', '', delta({ content: 'a' })],
  ['chat', '', delta({ content: ' ' })],
  ['chat', '', delta({ reasoning_content: 'a' })],
  ['chat', '', delta({ reasoning: 'a' })],
  ['chat', '', delta({ refusal: 'a' })],
  ['chat', '', delta({ tool_calls: [{ index: 0, function: { name: 'f' } }] })],
  ['chat', '', delta({ audio: { data: 'AA==' } })],
  ['completions', '', '{"choices":[{"text":"a"}]}'],
  ['responses', 'response.output_text.delta', '{"delta":"a"}'],
  ['responses', 'response.reasoning_text.delta', '{"delta":"a"}'],
  ['responses', '', '{"type":"response.function_call_arguments.delta","delta":"{"}'],
  ['messages', 'content_block_delta', '{"delta":{"type":"text_delta","text":"a"}}'],
  ['messages', 'content_block_delta', '{"delta":{"type":"thinking_delta","thinking":"a"}}'],
  ['messages', 'content_block_delta', '{"delta":{"type":"input_json_delta","partial_json":"{"}}'],
  ['generate', '', '{"text":"a","meta_info":{}}'],
  ['generate', '', '{"output_ids":[1]}'],
  ['other', '', 'anything'],
  // Of no form that is known here: output all the same.
  ['chat', '', 'not json'],
  ['chat', '', '{"n":1}'],
  ['chat', '', '{"choices":[{"text":"x"}]}'],
  ['completions', '', '{"n":1}'],
  ['generate', '', '{"n":1}'],
  ['responses', 'token', '{"n":1}'],
  ['messages', 'token', '{"n":1}'],
]
for (const [shape, name, data] of tokens) {
  test(`${shape}: ${name} ${data} is a token`, () => assert.equal(isFirstToken(shape, name, data), true))
}

const others: [Shape, string, string][] = [
  ['chat', '', ''],
  ['chat', '', '[DONE]'],
  ['chat', '', delta({ role: 'assistant', content: '' })],
  ['chat', '', delta({ role: 'assistant', content: null, tool_calls: [] })],
  ['chat', '', '{"choices":[]}'],
  ['chat', '', '{"error":{"message":"x"}}'],
  ['generate', '', '{"error":{"message":"x"}}'],
  ['messages', 'error', '{"error":{"message":"x"}}'],
  ['completions', '', '{"choices":[{"text":""}]}'],
  ['responses', 'response.created', '{"type":"response.created","response":{"output":[]}}'],
  ['responses', 'response.in_progress', '{}'],
  ['responses', 'response.output_item.added', '{}'],
  ['messages', 'message_start', '{"message":{}}'],
  ['messages', 'content_block_start', '{"content_block":{"type":"text","text":""}}'],
  ['messages', 'content_block_delta', '{"delta":{"type":"text_delta","text":""}}'],
  ['messages', 'ping', '{"type":"ping"}'],
  ['generate', '', '{"text":"","meta_info":{"completion_tokens":0}}'],
]
for (const [shape, name, data] of others) {
  test(`${shape}: ${name} ${data} is no token`, () => assert.equal(isFirstToken(shape, name, data), false))
}

/** The events that a client reads when `cut` came before the error. */
function seen(cut: string, text: string) {
  return new SseSplitter().push(encode(cut + text)).map(readEvent)
}

const failure = { message: 'The worker died.', code: 'upstream_reset' }

test('a broken chat, completions or generate stream ends in an error object and no [DONE]', () => {
  for (const shape of ['chat', 'completions', 'generate', 'other'] as const) {
    const text = errorEvent(shape, failure)
    assert.match(text, /^data: \{.*\}\n\n$/)
    assert.ok(!text.includes('[DONE]'))
    assert.deepEqual(JSON.parse(text.slice(6)), {
      error: {
        message: 'The worker died.',
        type: 'server_error',
        param: null,
        code: 'upstream_reset',
        retryable: true,
      },
    })
  }
})

test('a broken messages stream ends in an error event', () => {
  const [event] = seen('', errorEvent('messages', { ...failure, status: 503 }))
  assert.equal(event!.name, 'error')
  assert.deepEqual(JSON.parse(event!.data!), {
    type: 'error',
    error: { type: 'overloaded_error', message: 'The worker died.', code: 'upstream_reset', retryable: true },
  })
})

test('a Responses stream that broke before it had an id ends in response.failed, too', () => {
  const [event] = seen('', errorEvent('responses', failure))
  assert.equal(event!.name, 'response.failed')
  const { response } = JSON.parse(event!.data!) as { response: { id: string; status: string } }
  assert.deepEqual([response.id, response.status], ['resp_unknown', 'failed'])
})

test('after half an event the error is an event of its own', () => {
  for (const cut of ['data: {"choices":[', 'data: x\n', 'event: del']) {
    const events = seen(`data: a\n\n${cut}`, errorEvent('chat', failure, { isInsideEvent: true }))
    assert.match(events.at(-1)!.data!, /^\{"error":/)
  }
})
