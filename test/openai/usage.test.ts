import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usageAtEnd as usageAtEndOf } from '../../src/openai/usage-end.ts'
import { findUsage, mergeUsage, usageOf } from '../../src/openai/usage.ts'

const told = (promptTokens: number, cachedTokens: number | null, completionTokens: number) => ({
  promptTokens,
  cachedTokens,
  completionTokens,
  estimated: false,
})

const answers: [string, unknown, ReturnType<typeof told> | null][] = [
  [
    'OpenAI',
    { usage: { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 3 } } },
    told(5, 3, 2),
  ],
  [
    'OpenAI without details',
    { usage: { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: null } },
    told(5, null, 2),
  ],
  [
    'OpenAI, with nothing cached',
    { usage: { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 0 } } },
    told(5, 0, 2),
  ],
  [
    'Responses, whose 0 may mean that nobody looked',
    { usage: { input_tokens: 5, output_tokens: 2, input_tokens_details: { cached_tokens: 0 } } },
    told(5, null, 2),
  ],
  ['embeddings', { usage: { prompt_tokens: 5, total_tokens: 5 } }, told(5, null, 0)],
  [
    'Responses',
    { usage: { input_tokens: 5, output_tokens: 2, input_tokens_details: { cached_tokens: 3 } } },
    told(5, 3, 2),
  ],
  [
    'a Responses event',
    { type: 'response.completed', response: { usage: { input_tokens: 5, output_tokens: 2 } } },
    told(5, null, 2),
  ],
  [
    'Anthropic, which counts cached tokens apart',
    {
      usage: {
        input_tokens: 5,
        cache_read_input_tokens: 3,
        cache_creation_input_tokens: 1,
        output_tokens: 2,
      },
    },
    told(9, 3, 2),
  ],
  [
    'an Anthropic message_start',
    { message: { usage: { input_tokens: 5, output_tokens: 0 } } },
    told(5, null, 0),
  ],
  [
    'SGLang',
    { text: 'a', meta_info: { prompt_tokens: 5, cached_tokens: 3, completion_tokens: 2 } },
    told(5, 3, 2),
  ],
  [
    'several SGLang answers',
    [{ meta_info: { prompt_tokens: 5 } }, { meta_info: { prompt_tokens: 6, completion_tokens: 1 } }],
    told(11, null, 1),
  ],
  ['no usage', { choices: [] }, null],
  ['usage null', { usage: null }, null],
  ['usage of another kind', { usage: { type: 'string' } }, null],
  ['counts that are no numbers', { usage: { prompt_tokens: '5', completion_tokens: -1 } }, null],
  ['null', null, null],
]
for (const [name, answer, expected] of answers) {
  test(`usage of ${name}`, () => assert.deepEqual(usageOf(JSON.stringify(answer)), expected))
}

const usageAtEnd = (text: string) => usageAtEndOf(new TextEncoder().encode(text))

test('text that is no JSON has no usage', () => assert.equal(usageOf('data'), null))

test('usage is found in the end of a longer text, past keys of the same name', () => {
  const text = JSON.stringify({
    pad: '"usage":{"prompt_tokens":1}',
    usage: { prompt_tokens: 5, note: '}"{' },
    tools: [{ usage: { type: 'string' } }],
  })
  assert.deepEqual(findUsage(text.slice(5)), told(5, null, 0))
  assert.equal(findUsage('"usage":{"prompt_tokens":5'), null)
})

test('the end of a stream adds to what its start told', () => {
  assert.deepEqual(mergeUsage(told(5, 3, 0), told(0, null, 7)), told(5, 3, 7))
  assert.deepEqual(mergeUsage(null, told(1, null, 1)), told(1, null, 1))
  assert.deepEqual(mergeUsage(told(5, 0, 0), told(0, null, 7)), told(5, 0, 7))
})

test('usage among the last members is read by the end of the body alone', () => {
  const usage = '"usage":{"prompt_tokens":3,"completion_tokens":1,"details":{"a":"}"}}'
  assert.deepEqual(usageAtEnd(`cut}],${usage}}`), told(3, null, 1))
  assert.deepEqual(usageAtEnd(`"x":{},${usage} , "note":"{ \\" [","kv":null } \n`), told(3, null, 1))
})

test('an end that may mean something else is left to the exact way', () => {
  const usage = '"usage":{"prompt_tokens":3,"completion_tokens":1}'
  assert.equal(usageAtEnd(`{"choices":[{${usage}}]}`), null)
  assert.equal(usageAtEnd(`{${usage},"later":{"a":1}}`), null)
  assert.equal(usageAtEnd(`{${usage}`), null)
  assert.equal(usageAtEnd('{"a\\"usage":{"prompt_tokens":3}}'), null)
  assert.equal(usageAtEnd('{"usage":null}'), null)
})
