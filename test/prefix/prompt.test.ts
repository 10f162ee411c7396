import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { scanTop } from '../../src/openai/scan.ts'
import { readPrompt } from '../../src/prefix/prompt.ts'
import { MAX_BYTES, MEDIA_BYTES } from '../../src/prefix/sizes.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function promptOf(body: unknown) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return readPrompt(scanTop(encoder.encode(text)), 'm')
}

/** The canonical bytes as text, media told by their length. */
function canonical(body: unknown): string {
  const { bytes, spans } = promptOf(body)
  let text = ''
  for (let i = 0; i < spans.length; i += 3) {
    const part = bytes.subarray(spans[i], spans[i + 1])
    text += spans[i + 2] === 1 ? `<${part.length}>` : decoder.decode(part)
  }
  return text
}

const someMessage = fc.record({
  role: fc.constantFrom('user', 'assistant', 'system'),
  content: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom('"cache_control":{}', '\\"', 'a,"cache_control":1}', '[{]}'),
  ),
})

test('each API has its own members, tools first', () => {
  assert.equal(
    canonical({ messages: [{ role: 'user' }], model: 'm', tools: [{ a: 1 }] }),
    '{"a":1}{"role":"user"}',
  )
  assert.equal(canonical({ prompt: 'text', suffix: 'x' }), 'text')
  assert.equal(canonical({ prompt: [1, 22, 333] }), '1,22,333')
  assert.equal(canonical({ input: 'hello', instructions: 'be brief. ' }), 'be brief. hello')
  assert.equal(
    canonical({ messages: [{ role: 'user' }], system: [{ type: 'text' }] }),
    '{"type":"text"}{"role":"user"}',
  )
  assert.equal(canonical({ system: 'rules', messages: [{ a: 1 }] }), 'rules{"a":1}')
  assert.equal(canonical({ text: 'native', sampling_params: {} }), 'native')
  assert.equal(canonical({ input_ids: [[5, 6], [7]] }), '5,6],[7')
  assert.equal(canonical({ input: 'hello', text: { format: 'json' }, prompt: { id: 'p' } }), 'hello')
  assert.equal(canonical({ messages: [{ a: 1 }], text: 'unknown field' }), '{"a":1}')
  assert.equal(canonical({ prompt: null, messages: 7, input: true, tools: [] }), '')
})

test('one text and the first of a list of texts, or of token lists, begin alike', () => {
  assert.equal(canonical({ prompt: ['one', 'two'] }), 'one","two')
  assert.equal(canonical({ prompt: ['one'] }), canonical({ prompt: 'one' }))
  assert.equal(canonical({ input_ids: [[1, 2]] }), canonical({ input_ids: [1, 2] }))
})

test('a longer conversation begins with the bytes of the shorter one, whatever else the bodies hold', () => {
  fc.assert(
    fc.property(fc.array(someMessage, { minLength: 1 }), fc.nat(), fc.nat(3), (messages, cut, space) => {
      const shorter = messages.slice(0, cut % (messages.length + 1))
      const one = canonical({ model: 'm', messages: shorter, stream: true })
      const other = canonical(JSON.stringify({ temperature: 1, messages, user: 'u' }))
      assert.ok(other.startsWith(one))
      const spaced = JSON.stringify({ messages }, null, space)
      assert.ok(canonical(spaced).startsWith(canonical(JSON.stringify({ messages: shorter }, null, space))))
    }),
  )
})

test('texts that only look like marks stay whole', () => {
  fc.assert(
    fc.property(fc.array(someMessage, { minLength: 1 }), (messages) => {
      assert.equal(canonical({ messages }), JSON.stringify(messages).slice(1, -1))
    }),
  )
})

test('cache marks leave no trace, wherever they stand and whatever they hold', () => {
  const someMark = fc.constantFrom<unknown>({ type: 'ephemeral', ttl: '5m' }, null, 'a"]}', [{ b: [1] }], 12)
  fc.assert(
    fc.property(fc.array(someMessage, { minLength: 1 }), someMark, fc.nat(2), (messages, mark, place) => {
      const blank = place === 2 ? ' ' : ''
      const marked = messages.map(({ role, content }, i) => {
        if (i % 2) return { role, content }
        if (place === 0) return { cache_control: mark, role, content }
        return place === 1
          ? { role, cache_control: mark, content }
          : { role, content: [{ content, cache_control: mark }] }
      })
      const plain = messages.map(({ role, content }, i) =>
        i % 2 || place < 2 ? { role, content } : { role, content: [{ content }] },
      )
      const dumped = (value: unknown) =>
        JSON.stringify({ messages: value }).replaceAll(',"cache_control"', `,${blank}"cache_control"`)
      assert.equal(canonical(dumped(marked)), canonical({ messages: plain }))
    }),
  )
  assert.equal(canonical('{"messages":[ { "cache_control" : {} } , {"a":1}]}'), '{  } , {"a":1}')
})

test('media are set apart and count the same whatever their size', () => {
  const picture = 'A'.repeat(5000)
  const url = `data:image/png;base64,${picture}`
  const parts = {
    chat: { messages: [{ content: [{ type: 'image_url', image_url: { url } }] }] },
    responses: { input: [{ content: [{ type: 'input_image', image_url: url }] }] },
    messages: { messages: [{ content: [{ source: { type: 'base64', data: picture } }] }] },
    audio: { messages: [{ content: [{ input_audio: { data: picture, format: 'wav' } }] }] },
  }
  for (const [name, body] of Object.entries(parts)) {
    const text = canonical(body)
    assert.match(text, /<50\d\d>/, name)
    assert.ok(!text.includes('AAAA'), name)
    const { length } = promptOf(body)
    assert.ok(length >= MEDIA_BYTES && length < MEDIA_BYTES + 150, name)
  }
  assert.equal(canonical({ text: 'what is it?', image_data: [picture, url] }), '"<5000>","<5022>"what is it?')
  assert.equal(canonical({ text: 'x', image_data: picture }), '<5000>x')
})

test('a long text of a user is no medium', () => {
  const content = `data: ${'word '.repeat(1000)}`
  assert.equal(canonical({ messages: [{ role: 'user', content }] }), `{"role":"user","content":"${content}"}`)
})

test('what keeps caches apart seeds the hashes and is not in the text', () => {
  const { keys, bytes } = promptOf({ prompt: 'a', lora_path: 'x', cache_salt: 's', extra_key: null })
  assert.equal(keys.length, 6)
  assert.equal(decoder.decode(bytes.subarray(keys[1], keys[2])), '"x"')
  assert.equal(decoder.decode(bytes.subarray(keys[4], keys[5])), '"s"')
})

test('spans end where hashing does, and the length still counts all', () => {
  const messages = Array.from({ length: 3000 }, () => ({ role: 'user', content: 'x'.repeat(1000) }))
  const { length, spans } = promptOf({ messages, tools: ['rest'] })
  assert.equal(length, JSON.stringify(messages).length - 2 + 4)
  assert.equal(spans.length, 6)
  assert.ok(length > MAX_BYTES)
})

test('no value in place of a prompt makes it throw or leave the body', () => {
  const someKey = fc.constantFrom('messages', 'prompt', 'input', 'system', 'tools', 'image_data', 'input_ids')
  fc.assert(
    fc.property(fc.dictionary(someKey, fc.jsonValue()), (body) => {
      const { bytes, spans } = promptOf(body)
      for (let i = 0; i < spans.length; i += 3)
        assert.ok(spans[i]! >= 0 && spans[i]! <= spans[i + 1]! && spans[i + 1]! <= bytes.length)
    }),
  )
  // The engine refuses these; their brackets match, so they come this far.
  for (const broken of [
    '{"cache_control" 5}',
    '{"cache_control":}',
    '{"cache_control":[}]',
    '"cache_control"',
  ])
    assert.ok(promptOf(`{"messages":[{"a":1},${broken}]}`).length >= 7)
})
