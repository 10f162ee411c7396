import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CountReader } from '../../src/openai/usage-bytes.ts'
import { usageOfObject } from '../../src/openai/usage.ts'

const reader = new CountReader()
const bytesOf = (text: string) => new TextEncoder().encode(text)
const read = (json: string) => reader.read(bytesOf(json), 0)
const told = (promptTokens: number, cachedTokens: number | null, completionTokens: number) => ({
  promptTokens,
  cachedTokens,
  completionTokens,
  estimated: false,
})

const usual: [string, ReturnType<typeof told>][] = [
  ['{"prompt_tokens":256,"completion_tokens":64,"total_tokens":320}', told(256, null, 64)],
  [
    '{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2,"prompt_tokens_details":null}',
    told(9, null, 2),
  ],
  ['{ "prompt_tokens" : 9 ,\n "prompt_tokens_details" : { "cached_tokens" : 4 } }', told(9, 4, 0)],
  ['{"prompt_tokens":9,"completion_tokens_details":{"cached_tokens":4}}', told(9, null, 0)],
  ['{"prompt_tokens":1,"prompt_tokens":2,"completion_tokens":null}', told(2, null, 0)],
  ['{"completion_tokens":0,"reasoning_tokens":999999999999999}', told(0, null, 0)],
]
for (const [json, expected] of usual) {
  test(`counts are read off ${json}`, () => {
    assert.deepEqual(reader.read(bytesOf(`"usage":${json} }`), 8), expected)
    assert.equal(reader.at, 8 + json.length)
  })
}

const unusual = [
  '{}',
  '{"total_tokens":5}',
  '{"input_tokens":5,"prompt_tokens":5}',
  '{"prompt_tokens":5,"cached_tokens":3}',
  '{"prompt_tokens":5.0}',
  '{"prompt_tokens":-5}',
  '{"prompt_tokens":05}',
  '{"prompt_tokens":5,"note":"x"}',
  '{"prompt_tokens":5,"details":{"audio":{"tokens":1}}}',
  '{"prompt_tokens":5,"details":{}}',
  '{"prompt_tokens":5,"completion_tokens":{"a":1}}',
  '{"prompt_tokens":9999999999999999}',
  '{"\\u0070rompt_tokens":5}',
  '{"prompt_tokens":5,}',
  '{"prompt_tokens":5',
  '{"prompt_tokens',
  '{"prompt_tokens":nul}',
  '{',
]
for (const json of unusual) test(`${json} is left to the parser`, () => assert.equal(read(json), null))

test('what is read is what the parser would find', () => {
  const names = [
    'prompt_tokens',
    'completion_tokens',
    'total_tokens',
    'cached_tokens',
    'prompt_tokens_details',
  ]
  const key = fc.oneof(
    fc.constantFrom(...names, 'input_tokens', 'cached_tokens', 'prompt_tokens_'),
    fc.string(),
  )
  const count = fc.oneof(fc.nat(), fc.constant(null), fc.maxSafeNat(), fc.double(), fc.boolean())
  const details = fc.dictionary(key, count, { maxKeys: 3 })
  const member = fc.tuple(key, fc.oneof({ weight: 3, arbitrary: count }, details, fc.string()))
  const blank = fc.constantFrom('', ' ', '\n\t')
  const cut = fc.oneof({ weight: 4, arbitrary: fc.constant(Infinity) }, fc.nat(60))
  fc.assert(
    fc.property(fc.array(member, { maxLength: 5 }), blank, cut, (members, space, length) => {
      const inside = members.map(
        ([name, value]) => `${JSON.stringify(name)}${space}:${JSON.stringify(value)}`,
      )
      const json = `{${inside.join(`${space},${space}`)}${space}}`.slice(0, length)
      const found = read(json)
      if (found !== null) assert.deepEqual(found, usageOfObject(json))
      if (found !== null) assert.equal(reader.at, json.length)
    }),
    { numRuns: 2000 },
  )
})
