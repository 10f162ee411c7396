import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Shape } from '../../src/openai/shapes.ts'
import { readEvent, SseSplitter } from '../../src/openai/sse.ts'
import { createStreamWatch } from '../../src/openai/watch.ts'
import { opensWithRole } from '../../src/openai/usual.ts'
import { decode, encode } from './_json.ts'
import { recorded, tear } from './_tear.ts'

/** Runs chunks through a watch whose clock counts them. */
function run(shape: Shape, chunks: readonly Uint8Array[], stripUsage = false, isEnded = true) {
  let now = 0
  const firsts: number[] = []
  const watch = createStreamWatch({
    shape,
    stripUsage,
    now: () => now,
    onFirstToken: (at) => firsts.push(at),
  })
  const out: (Uint8Array | null)[] = []
  for (const chunk of chunks) {
    now++
    out.push(watch.chunk(chunk))
  }
  if (isEnded) out.push(watch.end())
  return { watch, firsts, out, text: decode(out.filter((part) => part !== null)) }
}

const encodeAll = (texts: readonly string[]) => texts.map(encode)
const usage = (promptTokens: number, completionTokens: number, cachedTokens: number | null = null) => ({
  promptTokens,
  cachedTokens,
  completionTokens,
  estimated: false,
})
const chunk = (content: string, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`
const usageEvent =
  'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}\n\n'
const done = 'data: [DONE]\n\n'

const recordings: [string, Shape, number, ReturnType<typeof usage> | null][] = [
  ['chat-stream', 'chat', 2, null],
  ['chat-stream-usage', 'chat', 2, usage(22, 8, 0)],
  ['chat-stream-continuous-usage', 'chat', 2, usage(22, 4, 0)],
  ['chat-stream-one-token', 'chat', 2, null],
  ['chat-tool-required-stream', 'chat', 2, null],
  ['completion-stream', 'completions', 1, null],
  ['completion-stream-usage', 'completions', 1, usage(5, 8, 0)],
  ['messages-stream', 'messages', 3, usage(22, 8)],
  ['response-stream', 'responses', 5, usage(22, 8)],
]
for (const [name, shape, first, expected] of recordings) {
  test(`${name} of a real engine: first token, usage and end are seen, and each chunk passes as the same object`, () => {
    const chunks = encodeAll(recorded(name))
    const { watch, firsts, out } = run(shape, chunks)
    assert.deepEqual(firsts, [first])
    assert.deepEqual(watch.usage(), expected)
    assert.ok(watch.isFinished)
    assert.equal(watch.isFailed, false)
    assert.equal(watch.isInsideEvent, false)
    assert.ok(chunks.every((bytes, index) => out[index] === bytes))
  })
}

test('any tearing of a real stream tells the same, and strips the usage event alone', () => {
  const streams = recordings.map(([name, shape]) => ({ shape, text: recorded(name).join('') }))
  fc.assert(
    fc.property(
      fc.constantFrom(...streams),
      fc.array(fc.nat(400)),
      fc.boolean(),
      fc.constantFrom('\n', '\r\n', '\r'),
      (stream, sizes, strip, lineEnd) => {
        const text = stream.text.replaceAll('\n', lineEnd)
        const whole = run(stream.shape, [encode(text)], strip)
        const torn = run(stream.shape, tear(encode(text), sizes), strip)
        assert.equal(torn.watch.tokens, whole.watch.tokens)
        assert.deepEqual(torn.watch.usage(), whole.watch.usage())
        assert.equal(torn.watch.isFinished, true)
        const events = (bytes: string) =>
          new SseSplitter().push(encode(bytes)).map((event) => readEvent(event).data)
        const kept = events(text).filter((data) => !(strip && data?.includes('"choices":[]')))
        // A CRLF torn in its middle beside an event that is taken out may leave a lone CR or LF: the same to any client.
        const isData = (data: string | null) => data !== null
        assert.deepEqual(events(torn.text).filter(isData), kept.filter(isData))
        if (lineEnd === '\n' || !strip) assert.equal(torn.text, whole.text)
      },
    ),
    { numRuns: 300 },
  )
})

test('events that pass where they lie tell the same as those that were handed over', () => {
  const streams = recordings.flatMap(([name, shape]) =>
    ['\n', '\r\n'].map((end) => ({
      shape,
      events: encodeAll(recorded(name).map((event) => event.replaceAll('\n', end))),
    })),
  )
  const memory = new Uint8Array(65_536)
  let passed = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...streams),
      fc.array(fc.integer({ min: 1, max: 4 })),
      fc.nat(200),
      fc.boolean(),
      ({ shape, events }, sizes, shown, strip) => {
        const seen = events.slice(0, shown)
        const expected = run(shape, seen, strip, false)
        const watch = createStreamWatch({ shape, stripUsage: strip, now: () => 0, onFirstToken() {} })
        const out: Uint8Array[] = []
        for (let at = 0, turn = 0; at < seen.length; turn++) {
          const next = seen.slice(at, at + (sizes[turn % sizes.length] ?? 1))
          at += next.length
          const places: number[] = []
          let end = 0
          for (const event of next) {
            memory.set(event, end + 7)
            places.push(end + 7, end + 7 + event.length)
            end += 7 + event.length
          }
          if (watch.pass({ bytes: memory, places, count: next.length })) {
            passed += next.length
            out.push(...next)
          } else for (const event of next) out.push(watch.chunk(event.slice()) ?? encode(''))
          memory.fill(0x78, 0, end)
        }
        assert.equal(decode(out), expected.text)
        assert.equal(watch.tokens, expected.watch.tokens)
        assert.deepEqual(watch.usageOrEstimate(9), expected.watch.usageOrEstimate(9))
        assert.equal(watch.isFinished, expected.watch.isFinished)
        const failure = { message: 'm', code: 'worker_died' }
        assert.equal(watch.errorText(failure), expected.watch.errorText(failure))
        watch.close()
      },
    ),
  )
  assert.ok(passed > 100)
})

test('events that pass go on being read when the ones behind them open otherwise', () => {
  const usage = ',"usage":{"prompt_tokens":3,"completion_tokens":2}'
  const event = (id: string, more = '') =>
    `data: {"id":"${id}","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]${more}}\n\n`
  const { watch } = run('chat', [encode(event('a'))], false, false)
  const pieces = (text: string) => ({ bytes: encode(text), places: [0, text.length], count: 1 })
  assert.equal(watch.pass(pieces(event('a', usage))), true)
  watch.chunk(encode(event('longer')))
  assert.equal(watch.usage()?.completionTokens, 2)
  assert.equal(watch.pass(pieces(event('a', usage))), false)
  assert.equal(watch.pass(pieces(event('longer'))), true)
  assert.equal(watch.usage(), null)
})

test('an event that is too long to be kept does not pass', () => {
  const { watch } = run('chat', [encode(chunk('a'))], false, false)
  const long = encode(chunk('a'.repeat(1000)))
  assert.equal(watch.pass({ bytes: long, places: [0, long.length], count: 1 }), false)
  assert.equal(watch.tokens, 1)
})

for (const [what, text] of Object.entries({
  'an event with another opening': `data: {"id":"d","choices":[{}]}\n\n`,
  'the usage event': usageEvent,
  '[DONE]': done,
  'two events in one piece': chunk('b') + chunk('c'),
  'an event without its blank line': chunk('b').slice(0, -1),
  'an event of lines that end in CR': chunk('b').replaceAll('\n', '\r'),
  'an event whose lines end in CRLF and LF': chunk('b').replace('\n', '\r\n'),
  'an event whose lines end in LF and CRLF': `${chunk('b').slice(0, -1)}\r\n`,
  'an event in CRLF without its blank line': `${chunk('b').slice(0, -2)}\r\n`,
  'an event of two lines': `${chunk('b').slice(0, -1)}id: 1\n\n`,
}))
  test(`${what} does not pass where it lies, and is not counted`, () => {
    const { watch } = run('chat', [encode(chunk('a'))], false, false)
    const pieces = (...texts: string[]) => {
      const places = texts.flatMap((_, i) => [
        texts.slice(0, i).join('').length,
        texts.slice(0, i + 1).join('').length,
      ])
      return { bytes: encode(`${texts.join('')}\r\n\r\n`), places, count: texts.length }
    }
    assert.equal(watch.pass(pieces(text)), false)
    assert.equal(watch.pass(pieces(chunk('b'), text)), false)
    assert.equal(watch.pass(pieces(text, chunk('b'))), false)
    assert.equal(watch.tokens, 1)
    assert.equal(watch.pass(pieces(chunk('b'))), true)
    assert.equal(watch.tokens, 2)
  })

test('nothing passes where it lies before the first token, or inside an event', () => {
  const bytes = encode(`${chunk('a')}\r\n\r\n`)
  const pieces = { bytes, places: [0, bytes.length - 4], count: 1 }
  const { watch } = run('chat', [], false, false)
  assert.equal(watch.pass(pieces), false)
  watch.chunk(encode(chunk('a') + chunk('b').slice(0, 9)))
  assert.equal(watch.pass(pieces), false)
})

test('no event is held back once it is whole', () => {
  const chunks = encodeAll([chunk('a'), chunk('b') + chunk('c').slice(0, 20), chunk('c').slice(20)])
  const { out } = run('chat', chunks, true, false)
  assert.equal(out[0], chunks[0])
  assert.equal(decode([out[1]!]), chunk('b'))
  assert.equal(decode([out[2]!]), chunk('c'))
})

test('usage inside the last content event is read but not taken out', () => {
  const text =
    chunk('a') +
    chunk('b', 'stop').replace('}\n', ',"usage":{"prompt_tokens":3,"completion_tokens":2}}\n') +
    done
  const { watch, text: out } = run('chat', [encode(text)], true)
  assert.deepEqual(watch.usage(), usage(3, 2))
  assert.equal(out, text)
})

test('an event with no choices and no usage stays', () => {
  const text = `data: {"choices":[],"prompt_filter_results":[]}\n\n${chunk('a')}${done}`
  assert.equal(run('chat', [encode(text)], true).text, text)
})

test('a torn event above the hold limit passes on', () => {
  const big = chunk('x'.repeat(40_000))
  const chunks = tear(encode(big + done), [10_000, 10_000, 10_000])
  const { out, text, watch } = run('chat', chunks, true)
  assert.notEqual(out[1], null)
  assert.equal(text, big + done)
  assert.equal(watch.tokens, 1)
})

test('a clean end without [DONE] or a finish reason is no finish', () => {
  assert.equal(run('chat', encodeAll([chunk('a'), chunk('b')])).watch.isFinished, false)
  assert.equal(
    run('completions', [encode('data: {"choices":[{"text":"a","finish_reason":null}]}\n\n')]).watch
      .isFinished,
    false,
  )
  assert.equal(run('messages', encodeAll(recorded('messages-stream').slice(0, -1))).watch.isFinished, false)
  assert.equal(run('responses', encodeAll(recorded('response-stream').slice(0, -1))).watch.isFinished, false)
  assert.equal(run('generate', [encode('data: {"text":"a","meta_info":{}}\n\n')]).watch.isFinished, false)
})

test('a finish reason is a finish even without [DONE]', () => {
  assert.equal(run('chat', encodeAll([chunk('a'), chunk('', 'length'), usageEvent])).watch.isFinished, true)
})

test('[DONE] counts without the blank line behind it', () => {
  const { watch, text } = run('chat', encodeAll([chunk('a'), 'data: [DONE]']), true)
  assert.equal(watch.isFinished, true)
  assert.ok(text.endsWith('data: [DONE]'))
})

test('an error inside the stream is seen in each shape', () => {
  const error = 'data: {"error":{"message":"x","code":500}}\n\n'
  assert.ok(run('chat', encodeAll([chunk('a'), error])).watch.isFailed)
  assert.ok(run('generate', encodeAll(['data: {"text":"a"}\n\n', error])).watch.isFailed)
  assert.ok(run('messages', [encode('event: error\ndata: {"type":"error","error":{}}\n\n')]).watch.isFailed)
  assert.ok(run('responses', [encode('data: {"type":"response.failed","response":{}}\n\n')]).watch.isFailed)
  assert.equal(run('chat', [encode(chunk('{"error":{}}'))]).watch.isFailed, false)
})

test('a stream cut inside an event says so, unless the client has nothing of that event', () => {
  const chunks = encodeAll([chunk('a'), chunk('b').slice(0, 30)])
  assert.equal(run('chat', chunks, false, false).watch.isInsideEvent, true)
  assert.equal(run('chat', chunks, true, false).watch.isInsideEvent, false)
  const ended = run('chat', chunks, true)
  assert.equal(ended.text, chunk('a'))
  assert.equal(ended.watch.isInsideEvent, false)
})

test('an aborted stream is counted by its events and marked as estimated', () => {
  const { watch } = run('chat', encodeAll([chunk(''), chunk('a'), chunk('b'), chunk('c')]), true, false)
  assert.deepEqual(watch.usageOrEstimate(11), {
    promptTokens: 11,
    cachedTokens: null,
    completionTokens: 3,
    estimated: true,
  })
})

test('an aborted Anthropic stream keeps the prompt tokens that the engine told', () => {
  const { watch } = run('messages', encodeAll(recorded('messages-stream').slice(0, 5)), false, false)
  assert.deepEqual(watch.usageOrEstimate(1), {
    promptTokens: 22,
    cachedTokens: null,
    completionTokens: 3,
    estimated: true,
  })
})

test('usage that was told is not estimated', () => {
  const { watch } = run('chat', encodeAll([chunk('a'), chunk('b', 'stop'), usageEvent, done]), true)
  assert.deepEqual(watch.usageOrEstimate(1), usage(7, 2, 4))
})

test('SGLang tells its counts in every event', () => {
  const event = (tokens: number) =>
    `data: {"text":"${'a'.repeat(tokens)}","meta_info":{"prompt_tokens":9,"cached_tokens":8,"completion_tokens":${tokens}}}\n\n`
  const { watch } = run('generate', encodeAll([event(1), event(2), done]))
  assert.deepEqual(watch.usage(), usage(9, 2, 8))
  assert.equal(watch.tokens, 2)
  assert.ok(watch.isFinished)
})

const usual = (rest: string) => `data: {"id":"c","model":"m","choices":[${rest}\n\n`
const seen: [
  string,
  Shape,
  string,
  { tokens: number; usage?: ReturnType<typeof usage>; isFailed?: boolean },
][] = [
  ['text', 'chat', usual('{"index":0,"delta":{"content":"a"}}]}').repeat(3), { tokens: 3 }],
  ['text behind a role', 'chat', usual('{"index":0,"delta":{"role":null,"content":"a"}}]}'), { tokens: 1 }],
  ['no text', 'chat', usual('{"index":0,"delta":{"role":"assistant","content":""}}]}'), { tokens: 0 }],
  ['text of completions', 'completions', usual('{"index":0,"text":"a"}]}').repeat(2), { tokens: 2 }],
  ['text of another API', 'completions', usual('{"index":0,"delta":{"content":"a"}}]}'), { tokens: 0 }],
  [
    'usage behind no choices',
    'chat',
    usual('],"usage":{"prompt_tokens":3,"completion_tokens":4}}'),
    { tokens: 0, usage: usage(3, 4) },
  ],
  [
    'blank lines between events',
    'chat',
    `${usual('{"index":0,"delta":{"content":"a"}}]}')}\n\n`.repeat(2),
    { tokens: 2 },
  ],
  [
    'text, and the name of an error in a line behind it',
    'chat',
    usual('{"index":0,"delta":{"content":"a"}}]}\nevent: error'),
    { tokens: 1, isFailed: true },
  ],
]
for (const [what, shape, text, { tokens, usage: counts = null, isFailed = false }] of seen) {
  test(`events with ${what} are seen as what they are in ${shape}`, () => {
    const { watch } = run(shape, [encode(text)])
    assert.deepEqual([watch.tokens, watch.usage(), watch.isFailed], [tokens, counts, isFailed])
  })
}

const role = (delta: string, choice = '', event = '') =>
  `data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""${delta}}${choice}}]${event}}\n\n`
const roles: readonly (readonly [text: string, isKnown: boolean])[] = [
  [role(''), true],
  [
    role(
      ',"reasoning_content":null,"tool_calls":null',
      ',"logprobs":null,"finish_reason":null',
      ',"usage":null',
    ),
    true,
  ],
  [role(',"reasoning_content":"a"'), false],
  [role(',"tool_calls":[{"index":0}]'), false],
  [role('', ',"finish_reason":"stop"'), false],
  [role('', '},{"index":1,"delta":{"content":"a"}'), false],
  [role('', '', ',"usage":{"prompt_tokens":1,"completion_tokens":2}'), false],
  [role('', '', ',"error":{"message":"no"}'), false],
  [role('', '}', ''), false],
  [role('').replace('""', '"a"'), false],
  [role('').replace('assistant', 'user'), false],
  [role('').replace('data: {', 'data: {"error":{"message":"no"},'), false],
  [role('').slice(0, -1), false],
  [`${role('').slice(0, -1)}id: 1\n\n`, false],
]
test('an event that opens a chat with a role alone is told by its bytes, and tells what it does when it is parsed', () => {
  for (const [text, isKnown] of roles) {
    const bytes = encode(`${text}${done}`)
    assert.equal(opensWithRole(bytes, 0, text.length), isKnown, text)
    // With a blank in it, it is parsed.
    const told = [text, text.replace('"choices":[', '"choices": [')].map((one) => {
      const { watch } = run('chat', [encode(one)], false)
      const { tokens, firstTokenAt, isFailed, isFinished } = watch
      return { tokens, firstTokenAt, isFailed, isFinished, usage: watch.usage() }
    })
    assert.deepEqual(told[0], told[1], text)
  }
})

test('comments and role-only deltas are no token', () => {
  const role = 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
  assert.deepEqual(run('chat', encodeAll([': ping\n\n', role, chunk('a')])).firsts, [3])
})

test('a Responses stream without event names is understood by its types', () => {
  const chunks = encodeAll(recorded('response-stream').map((text) => text.replace(/^event: .*\n/gm, '')))
  const { watch, firsts } = run('responses', chunks)
  assert.deepEqual(firsts, [5])
  assert.deepEqual(watch.usage(), usage(22, 8))
  assert.ok(watch.isFinished)
})

test('the usage of a final event of megabytes is found', () => {
  const head = recorded('response-stream')
  const last = head.findIndex((text) => text.includes('event: response.completed'))
  head[last] = head[last]!.replace(
    '"parallel_tool_calls"',
    `"padding":"${'x'.repeat(2_000_000)}","parallel_tool_calls"`,
  )
  const chunks = tear(
    encode(head.join('')),
    Array.from({ length: 100 }, () => 65_536),
  )
  assert.deepEqual(run('responses', chunks).watch.usage(), usage(22, 8))
})

test('a broken Responses stream ends in response.failed with its id and the next sequence number', () => {
  const { watch } = run('responses', encodeAll(recorded('response-stream').slice(0, 6)), false, false)
  const [, name, data] = /^event: (.*)\ndata: (.*)\n\n$/.exec(
    watch.errorText({ message: 'gone', code: 'upstream_reset' }),
  )!
  const event = JSON.parse(data!) as { sequence_number: number; response: { id: string; status: string } }
  assert.equal(name, 'response.failed')
  assert.match(event.response.id, /^resp_/)
  assert.equal(event.response.status, 'failed')
  assert.equal(event.sequence_number, 6)
})
