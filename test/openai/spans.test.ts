import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { scanTop } from '../../src/openai/scan.ts'
import { editBody } from '../../src/openai/spans.ts'
import type { Edit } from '../../src/openai/spans.ts'
import { decode, encode, membersOf, rawObject, rawValue } from './_json.ts'

function edit(text: string, ...edits: Edit[]): string {
  const bytes = encode(text)
  return decode(editBody(bytes, scanTop(bytes), edits))
}

const someKey = fc.oneof(
  fc.constantFrom('model', 'a', 'stream', 'stream_options', 'bootstrap_room', ''),
  fc.string({ unit: 'binary', maxLength: 3 }),
)
const someEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key: someKey, value: rawValue }),
  fc.record({ kind: fc.constant('delete' as const), key: someKey }),
  fc.record({ kind: fc.constant('setIn' as const), key: someKey, inner: someKey, value: rawValue }),
)

/** What one edit does to the text of a value; undefined: the key is absent. */
function apply(old: string | undefined, change: Edit): string | undefined | Map<string, string> {
  if (change.kind === 'delete') return undefined
  if (change.kind === 'set') return change.value
  if (old === undefined || old === 'null') return new Map([[change.inner, change.value]])
  return old.startsWith('{') ? membersOf(old).set(change.inner, change.value) : old
}

test('edits change their own keys and nothing else', () => {
  fc.assert(
    fc.property(
      rawObject,
      fc.uniqueArray(someEdit, { selector: (e) => e.key, maxLength: 5 }),
      (text, edits) => {
        const before = membersOf(text)
        const edited = edit(text, ...edits)
        JSON.parse(edited)
        const after = membersOf(edited)
        for (const change of edits) {
          const expected = apply(before.get(change.key), change)
          const got = after.get(change.key)
          assert.deepEqual(expected instanceof Map ? membersOf(got!) : got, expected)
          before.delete(change.key)
          after.delete(change.key)
        }
        assert.deepEqual(after, before)
      },
    ),
    { numRuns: 500 },
  )
})

test('slices of the original are views of it, in order, and cover all but what was replaced', () => {
  const bytes = encode(' {"model": "a" , "prompt":"long text","z":[1]} ')
  const parts = editBody(bytes, scanTop(bytes), [{ kind: 'set', key: 'model', value: '"b"' }])
  assert.equal(decode(parts), ' {"model": "b" , "prompt":"long text","z":[1]} ')
  assert.equal(parts[0]!.buffer, bytes.buffer)
  assert.equal(parts[2]!.buffer, bytes.buffer)
})

test('no change is the very same bytes', () => {
  const bytes = encode('{"a":1}')
  const parts = editBody(bytes, scanTop(bytes), [{ kind: 'delete', key: 'b' }])
  assert.equal(parts.length, 1)
  assert.equal(parts[0], bytes)
})

const cases: [string, string, Edit[], string][] = [
  ['an absent key goes to the end', '{"a":1 }', [{ kind: 'set', key: 'b', value: '2' }], '{"a":1 ,"b":2}'],
  ['an empty object gets no comma', '{ }', [{ kind: 'set', key: 'b', value: '2' }], '{ "b":2}'],
  [
    'a room keeps all its digits',
    '{"bootstrap_room":1}',
    [{ kind: 'set', key: 'bootstrap_room', value: '9223372036854775807' }],
    '{"bootstrap_room":9223372036854775807}',
  ],
  [
    'all duplicates are set',
    '{"m":1,"\\u006d":2}',
    [{ kind: 'set', key: 'm', value: '3' }],
    '{"m":3,"\\u006d":3}',
  ],
  ['all duplicates are deleted', '{"m":1,"x":2,"\\u006d":3}', [{ kind: 'delete', key: 'm' }], '{"x":2}'],
  ['deleting the last takes the comma before', '{"x":2, "m":1 }', [{ kind: 'delete', key: 'm' }], '{"x":2 }'],
  ['deleting everything leaves an object', '{ "m":1, "m":2 }', [{ kind: 'delete', key: 'm' }], '{  }'],
  [
    'deleting all and setting one needs no comma',
    '{"m":1}',
    [
      { kind: 'delete', key: 'm' },
      { kind: 'set', key: 'a', value: '1' },
    ],
    '{"a":1}',
  ],
  [
    'stream_options keeps its other members',
    '{"stream_options":{"continuous_usage_stats":true}}',
    [{ kind: 'setIn', key: 'stream_options', inner: 'include_usage', value: 'true' }],
    '{"stream_options":{"continuous_usage_stats":true,"include_usage":true}}',
  ],
  [
    'include_usage false becomes true',
    '{"stream_options":{"include_usage":false}}',
    [{ kind: 'setIn', key: 'stream_options', inner: 'include_usage', value: 'true' }],
    '{"stream_options":{"include_usage":true}}',
  ],
  [
    'stream_options null is replaced',
    '{"stream_options":null}',
    [{ kind: 'setIn', key: 'stream_options', inner: 'include_usage', value: 'true' }],
    '{"stream_options":{"include_usage":true}}',
  ],
  [
    'an absent stream_options is made',
    '{"a":1}',
    [{ kind: 'setIn', key: 'stream_options', inner: 'include_usage', value: 'true' }],
    '{"a":1,"stream_options":{"include_usage":true}}',
  ],
  [
    'a wrong stream_options is left for the engine to refuse',
    '{"stream_options":5}',
    [{ kind: 'setIn', key: 'stream_options', inner: 'include_usage', value: 'true' }],
    '{"stream_options":5}',
  ],
  [
    'the later edit of a key counts',
    '{"a":1}',
    [
      { kind: 'set', key: 'a', value: '2' },
      { kind: 'delete', key: 'a' },
    ],
    '{}',
  ],
  [
    'nested sets of one key add up',
    '{}',
    [
      { kind: 'setIn', key: 'o', inner: 'a', value: '1' },
      { kind: 'setIn', key: 'o', inner: 'b', value: '2' },
    ],
    '{"o":{"a":1,"b":2}}',
  ],
]
for (const [name, before, edits, after] of cases) {
  test(name, () => assert.equal(edit(before, ...edits), after))
}
