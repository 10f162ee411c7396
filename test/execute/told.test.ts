// What only the prefill engine knows, in the decode engine's answer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Told } from '../../src/execute/told.ts'
import { watchPair } from '../../src/execute/pair-watch.ts'

const encode = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const text = (bytes: Uint8Array | null) => (bytes === null ? '' : new TextDecoder().decode(bytes))

const usage = (cached: number | null, more = {}) => ({
  prompt_tokens: 9,
  completion_tokens: 2,
  prompt_tokens_details: cached === null ? null : { cached_tokens: cached, ...more },
})

const MERGES: Readonly<Record<string, [prefill: unknown, decode: unknown, merged: unknown]>> = {
  'cached tokens are those of prefill': [
    { usage: usage(8) },
    { usage: usage(0), id: 'd' },
    { usage: usage(8), id: 'd' },
  ],
  'only what decode tells, too, is replaced': [
    { usage: usage(8, { created: 1 }) },
    { usage: usage(0, { own: 2 }) },
    { usage: usage(8, { own: 2 }) },
  ],
  'details that decode lacks come along': [{ usage: usage(8) }, { usage: usage(null) }, { usage: usage(8) }],
  'nothing told changes nothing': [{ usage: usage(null) }, { usage: usage(3) }, { usage: usage(3) }],
  'Anthropic counts too': [
    { usage: { input_tokens: 2, cache_read_input_tokens: 7, output_tokens: 1 } },
    { usage: { input_tokens: 9, cache_read_input_tokens: 0, output_tokens: 5 } },
    { usage: { input_tokens: 2, cache_read_input_tokens: 7, output_tokens: 5 } },
  ],
  "the prompt's log probabilities come first, then what decode has": [
    {
      meta_info: {
        cached_tokens: 4,
        input_token_logprobs: [
          [null, 1, null],
          [-0.5, 2, null],
        ],
      },
    },
    { text: 'x', meta_info: { cached_tokens: 0, input_token_logprobs: [[-0.25, 3, null]] } },
    {
      text: 'x',
      meta_info: {
        cached_tokens: 4,
        input_token_logprobs: [
          [null, 1, null],
          [-0.5, 2, null],
          [-0.25, 3, null],
        ],
      },
    },
  ],
  'an engine that knows them itself is believed': [
    { meta_info: { input_token_logprobs: [[-1, 1]] } },
    { meta_info: { input_token_logprobs: [[-1, 1]] } },
    { meta_info: { input_token_logprobs: [[-1, 1]] } },
  ],
  'empty lists count as none': [
    { meta_info: { input_token_logprobs: [[-1, 1]], input_top_logprobs: [] } },
    { meta_info: { input_token_logprobs: [] } },
    { meta_info: { input_token_logprobs: [[-1, 1]], input_top_logprobs: [] } },
  ],
  'batches go by their places': [
    [{ meta_info: { cached_tokens: 1 } }, { meta_info: { cached_tokens: 2 } }],
    [{ meta_info: { cached_tokens: 0 } }, { meta_info: { cached_tokens: 0 } }],
    [{ meta_info: { cached_tokens: 1 } }, { meta_info: { cached_tokens: 2 } }],
  ],
  'vLLM: prompt_logprobs of a chat': [
    { prompt_logprobs: [null, { 5: { logprob: -1 } }] },
    { prompt_logprobs: null, choices: [] },
    { prompt_logprobs: [null, { 5: { logprob: -1 } }], choices: [] },
  ],
  'vLLM: prompt_logprobs of completions': [
    { choices: [{ text: 'a', prompt_logprobs: [null, 1] }] },
    { choices: [{ text: 'abc', prompt_logprobs: null, index: 0 }] },
    { choices: [{ text: 'abc', prompt_logprobs: [null, 1], index: 0 }] },
  ],
}

for (const [sentence, [prefill, decode, merged]] of Object.entries(MERGES))
  test(sentence, () => {
    const answer = encode(decode)
    const out = new Told(encode(prefill), false).merge(answer)
    assert.deepEqual(JSON.parse(text(out)), merged)
    if (JSON.stringify(decode) === JSON.stringify(merged)) assert.equal(text(out), text(answer))
  })

test('answers that are no JSON pass as they are', () => {
  const junk = encode('<html>')
  assert.equal(new Told(junk, false).merge(junk), junk)
  assert.equal(new Told(encode({ usage: usage(4) }), false).merge(junk), junk)
})

/** Passes a stream through in pieces of that size. */
function passed(prefill: Told | null, stream: string, size: number): string {
  let out = ''
  const take = (bytes: Uint8Array | null) => {
    out += text(bytes)
    return bytes
  }
  const inner = { chunk: (bytes: Uint8Array) => bytes, end: () => null, fail: () => null, leave() {} }
  const watch = watchPair(inner, { told: () => prefill, merges: true, began() {}, over() {} })
  const bytes = encode(stream)
  for (let at = 0; at < bytes.length; at += size) take(watch.chunk(bytes.subarray(at, at + size)))
  take(watch.end())
  return out
}

const event = (value: unknown) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`

for (const size of [1, 7, 4096])
  test(`streams are merged event by event, torn into pieces of ${size} bytes`, () => {
    const told = new Told(encode({ usage: usage(8) }), false)
    const head = event({ choices: [{ delta: { content: '"usage":{' } }], usage: null }) + ': ping\n\n'
    const stream = head + event({ choices: [], usage: usage(0) }) + event('[DONE]')
    assert.equal(passed(told, stream, size), head + event({ choices: [], usage: usage(8) }) + event('[DONE]'))
    assert.equal(passed(null, stream, size), stream)
  })

test('SGLang: the log probabilities of a streaming prefill are put into every event', () => {
  const input_token_logprobs = [[-1, 7, null]]
  const told = new Told(
    encode(event({ text: 'a', meta_info: { cached_tokens: 3, input_token_logprobs } }) + event('[DONE]')),
    true,
  )
  const events = [1, 2].map((completion_tokens) => ({
    text: 'x',
    meta_info: { completion_tokens, cached_tokens: 0 },
  }))
  const out = passed(told, events.map(event).join(''), 50)
  assert.equal(
    out,
    events
      .map(({ meta_info, text }) =>
        event({ text, meta_info: { ...meta_info, cached_tokens: 3, input_token_logprobs } }),
      )
      .join(''),
  )
})

test('Responses and Messages tell their usage inside another object', () => {
  const told = new Told(
    encode({ usage: { input_tokens: 9, input_tokens_details: { cached_tokens: 8 } } }),
    false,
  )
  const done = {
    type: 'response.completed',
    response: { usage: { input_tokens: 9, input_tokens_details: { cached_tokens: 0 } } },
  }
  const out = passed(told, `event: response.completed\n${event(done)}`, 4096)
  assert.match(out, /^event: response\.completed\ndata: /)
  assert.match(out, /"cached_tokens":8/)
})

test('what prefill counted is told to the pool', () => {
  assert.equal(new Told(encode({ usage: usage(8) }), false).usage()?.cachedTokens, 8)
  assert.equal(new Told(encode('nothing'), false).usage(), null)
})
