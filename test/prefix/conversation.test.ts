import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conversationOf } from '../../src/prefix/conversation.ts'
import { scanTop } from '../../src/openai/scan.ts'

const keyOf = (body: unknown) => conversationOf(scanTop(new TextEncoder().encode(JSON.stringify(body))))
const system = { role: 'system', content: 'Be "kind", user.' }
const user = (content: unknown) => ({ role: 'user', content })
const answer = { role: 'assistant', content: 'Yes.' }
const marked = (text: string) => [{ type: 'text', text, cache_control: { type: 'ephemeral', ttl: '1h' } }]
const plain = (text: string) => [{ type: 'text', text }]

const SAME: [string, unknown, unknown][] = [
  ['a later turn', { messages: [user('Hi')] }, { messages: [user('Hi'), answer, user('More')] }],
  ['another system prompt', { messages: [user('Hi')] }, { messages: [system, user('Hi')] }],
  [
    'a cache mark that moved on',
    { messages: [user(marked('Hi'))] },
    { messages: [user(plain('Hi')), answer, user(marked('x'))] },
  ],
  ['Responses input', { input: [user('Hi')] }, { input: [user('Hi'), answer] }],
]
for (const [what, one, other] of SAME) {
  test(`${what} is the same conversation`, () => {
    assert.notEqual(keyOf(one), null)
    assert.equal(keyOf(one), keyOf(other))
  })
}

const OTHER: [string, unknown, unknown][] = [
  ['another question', { messages: [system, user('Hi')] }, { messages: [system, user('Ho')] }],
  ['a longer question', { messages: [user('Hi')] }, { messages: [user('Hi!')] }],
  [
    'a question that differs 3 KB in',
    { messages: [user(`${'x'.repeat(3000)}a`)] },
    { messages: [user(`${'x'.repeat(3000)}b`)] },
  ],
]
for (const [what, one, other] of OTHER) {
  test(`${what} is another conversation`, () => assert.notEqual(keyOf(one), keyOf(other)))
}

test('the role may stand behind the text, which may speak of users', () => {
  const late = { content: 'x'.repeat(9000), role: 'user' }
  assert.equal(keyOf({ messages: [system, late] }), keyOf({ messages: [late, answer] }))
  assert.notEqual(keyOf({ messages: [system, late] }), null)
})

for (const body of [
  {},
  { prompt: 'Hi' },
  { messages: 'Hi' },
  { messages: [system] },
  { messages: [] },
  { input: 'Hi' },
]) {
  test(`there is no conversation in ${JSON.stringify(body)}`, () => assert.equal(keyOf(body), null))
}
