import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTrace } from '../../src/replay/read-trace.ts'

const lines = (text: string) => text.trim().split('\n')

test('Mooncake: lengths, times in ms, one block number for each 512 tokens', async () => {
  const { format, requests } = await readTrace(
    lines(`
{"timestamp": 3000, "input_length": 1000, "output_length": 5, "hash_ids": [7, 9]}
{"timestamp": 6500, "input_length": 600, "output_length": 0, "hash_ids": [7, 11]}`),
    'a.jsonl',
  )
  assert.equal(format, 'mooncake')
  assert.deepEqual(
    requests.map(({ at, input, output, blocks }) => ({ at, input, output, blocks: [...blocks] })),
    [
      { at: 0, input: 1000, output: 5, blocks: [0, 1] },
      { at: 3.5, input: 600, output: 1, blocks: [0, 2] },
    ],
  )
})

test('Azure: dates of both releases, no block shared', async () => {
  const { format, requests } = await readTrace(
    lines(`
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690+00:00,1396,109`),
    'azure.csv',
  )
  assert.equal(format, 'azure')
  assert.deepEqual(
    requests.map(({ at, input, output, blocks }) => [at.toFixed(6), input, output, [...blocks]]),
    [
      ['0.000000', 374, 44, [0]],
      ['4.314579', 1396, 109, [1, 2, 3]],
    ],
  )
})

test('BurstGPT: calls without an answer are left out, sessions are kept', async () => {
  const { format, requests, skipped } = await readTrace(
    lines(`
Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,s1,0.4,ChatGPT,472,18,490,Conversation log
45.5,s2,3,GPT-4,1087,0,1087,API log
118,s1,1,GPT-4,417,276,693,Conversation log`),
    'burst.csv',
  )
  assert.equal(format, 'burstgpt')
  assert.equal(skipped, 1)
  assert.deepEqual(
    requests.map(({ at, input, output, session }) => [at, input, output, session]),
    [
      [0, 472, 18, 's1'],
      [113, 417, 276, 's1'],
    ],
  )
})

const recorded = (prefix: string, change: object = {}) =>
  JSON.stringify({
    at: 1000,
    prefix,
    prompt_bytes: 4096,
    prompt_tokens: 1024,
    output_tokens: 9,
    session: null,
    status: 200,
    ...change,
  })

test('a recorded trace: equal beginnings are equal blocks, whatever comes behind the last hash is nobody else’s', async () => {
  const hashes = Array.from({ length: 16 }, (_, i) => (i + 36).toString(36))
  const other = [...hashes.slice(0, 8), ...hashes.slice(8).map((hash) => `${hash}0`)]
  const { requests, skipped } = await readTrace(
    [
      '{"fetchway_trace":1}',
      recorded(hashes.join(' ')),
      recorded(other.join(' '), { at: 3000, session: 'x' }),
      recorded('', { at: 4000, status: 503 }),
    ],
    'own.jsonl',
  )
  assert.equal(skipped, 1)
  assert.deepEqual(
    requests.map(({ at, input, blocks, session, prompt }) => [
      at,
      input,
      [...blocks],
      session,
      prompt?.path.length,
    ]),
    [
      [0, 1024, [0, 1], null, 16],
      [2, 1024, [0, 2], '1.x', 16],
    ],
  )
})

const wrong: readonly (readonly [string, string, RegExp])[] = [
  ['an empty file', '', /^t:1: is empty/],
  ['an unknown heading', 'a,b,c', /^t:1: is no heading of a known trace: "a,b,c"\. Known are Mooncake/],
  ['other JSON', '{"prompt": "x"}', /^t:1: has none of the keys of a known trace/],
  ['broken JSON', '{"timestamp": 1, "hash_ids": [', /^t:1: is no JSON/],
  [
    'a length that is none, on its line',
    '{"timestamp":0,"input_length":5,"output_length":1,"hash_ids":[1]}\n\n{"timestamp":0,"input_length":"5","output_length":1,"hash_ids":[1]}',
    /^t:3: input_length must be a whole number of at least 0, not "5"$/,
  ],
  [
    'a date that is none',
    'TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2',
    /^t:2: TIMESTAMP is no time: "yesterday"$/,
  ],
  [
    'a row that is too short',
    'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1',
    /^t:2: has 2 columns where the heading has 3$/,
  ],
  ['a newer recording', '{"fetchway_trace":2}', /^t:1: is of version 2/],
  ['a heading alone', 'TIMESTAMP,ContextTokens,GeneratedTokens', /^t:1: there is no served request/],
]

for (const [says, text, message] of wrong)
  test(`${says} is told with file and line`, async () => {
    await assert.rejects(readTrace(text.split('\n'), 't'), { name: 'TraceError', message })
  })
