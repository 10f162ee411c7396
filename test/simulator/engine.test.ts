import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEngine } from '../../src/simulator/engine.ts'
import { ask, askJson, chat, eventsOf, HandClock, settle, textOf } from './_engine.ts'

const quick = (more = {}) => createEngine({ engine: 'vllm', speed: 0, ...more })
const LONG = 'The quick brown fox jumps over the lazy dog. '.repeat(20)

void test('the same prompt gets the same answer on every engine, streamed or whole', async () => {
  const texts = new Set<string>()
  for (const engine of ['vllm', 'sglang', 'lmdeploy'] as const) {
    const one = createEngine({ engine, speed: 0 })
    texts.add((await askJson(one, '/v1/chat/completions', chat(LONG))).choices[0].message.content)
    texts.add(textOf(await (await ask(one, '/v1/chat/completions', chat(LONG, { stream: true }))).text()))
  }
  assert.equal(texts.size, 1)
  assert.notEqual(
    (await askJson(quick(), '/v1/chat/completions', chat('other'))).choices[0].message.content,
    [...texts][0],
  )
})

void test('an answer is 16 to 64 tokens long, or as long as max_tokens or the test header say', async () => {
  const engine = quick()
  for (const content of ['a', 'b', 'c', 'd']) {
    const { usage } = await askJson(engine, '/v1/chat/completions', chat(content))
    assert.ok(usage.completion_tokens >= 16 && usage.completion_tokens <= 64)
  }
  const capped = await askJson(engine, '/v1/chat/completions', chat('a', { max_tokens: 5 }))
  assert.equal(capped.usage.completion_tokens, 5)
  assert.equal(capped.choices[0].finish_reason, 'length')
  const headers = { 'x-sim-output-tokens': '200' }
  const asked = await askJson(engine, '/v1/chat/completions', chat('a'), { headers })
  assert.equal(asked.usage.completion_tokens, 200)
  assert.equal(asked.choices[0].finish_reason, 'stop')
  const endless = await askJson(
    engine,
    '/v1/chat/completions',
    chat('a', { ignore_eos: true, max_tokens: 300 }),
  )
  assert.equal(endless.usage.completion_tokens, 300)
})

void test('a repeated prompt is cached in whole blocks, but not for another salt or adapter', async () => {
  const engine = quick({ adapters: ['style'] })
  const cached = async (more = {}) => {
    const { usage } = await askJson(engine, '/v1/chat/completions', chat(LONG, { max_tokens: 1, ...more }))
    return { cached: usage.prompt_tokens_details.cached_tokens, prompt: usage.prompt_tokens }
  }
  const first = await cached()
  assert.equal(first.cached, 0)
  assert.equal((await cached()).cached, Math.floor((first.prompt - 1) / 16) * 16)
  assert.equal((await cached({ cache_salt: 'mine' })).cached, 0)
  assert.equal((await cached({ model: 'style' })).cached, 0)
  await ask(engine, '/reset_prefix_cache', {})
  assert.equal((await cached()).cached, 0)
})

void test('the next turn of a conversation finds the answer before it in the cache', async () => {
  const engine = quick()
  const first = await askJson(
    engine,
    '/v1/chat/completions',
    chat(LONG, { max_tokens: 64, ignore_eos: true }),
  )
  const answer = first.choices[0].message.content as string
  const messages = [
    { role: 'user', content: LONG },
    { role: 'assistant', content: answer },
    { role: 'user', content: 'go on' },
  ]
  const { usage } = await askJson(engine, '/v1/chat/completions', { messages, max_tokens: 1 })
  assert.ok(usage.prompt_tokens_details.cached_tokens > first.usage.prompt_tokens)
})

void test('the least recently used blocks make room for new ones', async () => {
  const engine = quick({ blocks: 40 })
  const cached = async (content: string) => {
    const { usage } = await askJson(engine, '/v1/chat/completions', chat(content, { max_tokens: 1 }))
    return usage.prompt_tokens_details.cached_tokens as number
  }
  // Each prompt fills 15 blocks.
  const [a, b, c] = ['a', 'b', 'c'].map((letter) => `${letter} ${'word '.repeat(110)}`) as [
    string,
    string,
    string,
  ]
  await cached(a)
  await cached(b)
  const whole = await cached(a)
  await cached(c)
  assert.equal(await cached(a), whole)
  assert.ok((await cached(b)) < whole)
})

void test('prefill takes its tokens over the rate, and each further token a step', async () => {
  const clock = new HandClock()
  const engine = createEngine(
    { engine: 'vllm', prefillTokensPerSecond: 1000, stepMs: 10, perSequenceMs: 0 },
    clock,
  )
  const { count } = await askJson(engine, '/tokenize', chat(LONG))
  let chunks = 0
  const response = await ask(engine, '/v1/chat/completions', chat(LONG, { stream: true, max_tokens: 4 }))
  const reading = (async () => {
    for await (const _ of response.body as ReadableStream<Uint8Array>) chunks++
  })()
  await clock.advance(count - 1)
  assert.equal(chunks, 0)
  await clock.advance(1)
  assert.equal(chunks, 2) // the role and the first token
  await clock.advance(10)
  assert.equal(chunks, 3)
  await clock.advance(20)
  await reading
  assert.equal(chunks, 6) // two more tokens and [DONE]
})

void test('running sequences share their steps, and a long prompt slows them down in chunks', async () => {
  const clock = new HandClock()
  const options = { engine: 'vllm', prefillTokensPerSecond: 1e6, stepMs: 10, perSequenceMs: 1 } as const
  const engine = createEngine(options, clock)
  const calls = Array.from({ length: 10 }, (_, i) =>
    ask(engine, '/v1/chat/completions', chat(`n${i}`, { max_tokens: 11, ignore_eos: true })),
  )
  await clock.advance(1) // all prefilled
  assert.equal(engine.seen().running, 10)
  await clock.advance(201) // ten steps of 10 + 10 * 1 ms
  await Promise.all(calls)
  assert.deepEqual(
    { ...engine.seen(), requests: [] },
    { requests: [], running: 0, waiting: 0, finished: 10, aborted: 0, tokens: 110, handovers: [] },
  )
})

void test('a long prompt is prefilled in chunks between which the others go on', async () => {
  const clock = new HandClock()
  const options = { engine: 'vllm', prefillTokensPerSecond: 8192, stepMs: 10, perSequenceMs: 0 } as const
  const engine = createEngine(options, clock)
  const made = () => engine.seen().tokens
  const running = ask(engine, '/v1/completions', { prompt: 'x', max_tokens: 200, ignore_eos: true })
  await clock.advance(50)
  const before = made()
  assert.ok(before >= 4)
  // Two and a half chunks of 8192 tokens: a second each, at this rate.
  const long = Array.from({ length: 20_480 }, (_, i) => 200 + (i % 100))
  const waiting = ask(engine, '/v1/completions', { prompt: long, max_tokens: 1 })
  await clock.advance(900)
  assert.ok(made() - before <= 1)
  await clock.advance(1400)
  const between = made() - before
  assert.ok(between >= 2 && between <= 4, `${between}`)
  await clock.advance(400)
  assert.equal((await waiting).status, 200)
  await clock.advance(3000)
  assert.equal((await running).status, 200)
})

void test('calls beyond the most sequences wait their turn', async () => {
  const clock = new HandClock()
  const engine = createEngine({ engine: 'vllm', maxSequences: 2, stepMs: 10 }, clock)
  const calls = [1, 2, 3].map((n) => ask(engine, '/v1/completions', { prompt: `${n}`, max_tokens: 3 }))
  await clock.advance(2)
  const { running, waiting } = engine.seen()
  assert.deepEqual({ running, waiting }, { running: 2, waiting: 1 })
  await clock.advance(100)
  await Promise.all(calls)
})

void test('sequences that outgrow the cache are preempted and end none the worse', async () => {
  const engine = quick({ blocks: 24, maxModelLength: 300 })
  const body = (n: number) => ({ prompt: `prompt ${n}`, max_tokens: 200, ignore_eos: true })
  const alone = await askJson(quick(), '/v1/completions', body(2))
  const together = await Promise.all([1, 2, 3, 4].map((n) => askJson(engine, '/v1/completions', body(n))))
  assert.equal(together[1].choices[0].text, alone.choices[0].text)
  const page = await (await ask(engine, '/metrics')).text()
  assert.doesNotMatch(page, /vllm:num_preemptions_total\{.*\} 0\.0/)
  assert.match(page, /vllm:kv_cache_usage_perc\{.*\} 0\.0/)
})

void test('a client that leaves frees its sequence at once, whether it reads a stream or waits', async () => {
  const clock = new HandClock()
  const engine = createEngine({ engine: 'vllm' }, clock)
  const left = new AbortController()
  const waiting = ask(engine, '/v1/chat/completions', chat('whole'), { signal: left.signal })
  const stream = await ask(
    engine,
    '/v1/chat/completions',
    chat('stream', { stream: true, max_tokens: 1000, ignore_eos: true }),
  )
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
  await clock.advance(50)
  await reader.read()
  assert.equal(engine.seen().running, 2)
  await reader.cancel()
  assert.equal(engine.seen().running, 1)
  left.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  const { running, aborted, finished } = engine.seen()
  assert.deepEqual({ running, aborted, finished }, { running: 0, aborted: 2, finished: 0 })
})

void test('at speed 0 a stream that nobody reads stands still and can be aborted', async () => {
  const engine = quick()
  const stream = await ask(
    engine,
    '/v1/chat/completions',
    chat('x', { stream: true, max_tokens: 1000, ignore_eos: true }),
  )
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
  for (let i = 0; i < 5; i++) await reader.read()
  await settle()
  assert.equal(engine.seen().running, 1)
  assert.ok(engine.seen().tokens < 10)
  await reader.cancel()
  assert.equal(engine.seen().running, 0)
  assert.equal(engine.seen().aborted, 1)
})

void test('a killed engine breaks its streams and refuses calls until it is revived', async () => {
  const engine = quick()
  const stream = await ask(engine, '/v1/chat/completions', chat('x', { stream: true }))
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  engine.kill()
  await assert.rejects(async () => {
    for (;;) if ((await reader.read()).done) break
  }, TypeError)
  await assert.rejects(ask(engine, '/health'), TypeError)
  engine.revive()
  assert.equal((await ask(engine, '/health')).status, 200)
})

void test('an answer that was cut off goes on word for word', async () => {
  const engine = quick()
  const whole = await askJson(engine, '/v1/chat/completions', chat('Tell me a story'))
  const text = whole.choices[0].message.content as string
  for (const cut of [2, 10, 21].map((from) => text.indexOf(' ', from))) {
    const messages = [
      { role: 'user', content: 'Tell me a story' },
      { role: 'assistant', content: text.slice(0, cut) },
    ]
    const body = { messages, continue_final_message: true, add_generation_prompt: false }
    const rest = await askJson(quick(), '/v1/chat/completions', body)
    assert.equal(rest.choices[0].message.content, text.slice(cut))
  }
})

void test('n choices differ, and a seed changes them all', async () => {
  const engine = quick()
  const texts = async (more: Record<string, unknown>) => {
    const body = await askJson(engine, '/v1/completions', { prompt: 'Once', n: 3, max_tokens: 12, ...more })
    return body.choices.map((choice: { text: string }) => choice.text) as string[]
  }
  const all = [...(await texts({})), ...(await texts({ seed: 7 }))]
  assert.equal(new Set(all).size, 6)
  assert.deepEqual(await texts({ seed: 7 }), all.slice(3))
})

void test('a stop string ends the text before it', async () => {
  const engine = quick()
  const body = { prompt: 'Once', max_tokens: 40, ignore_eos: true }
  const { text } = (await askJson(engine, '/v1/completions', body)).choices[0]
  const stop = text.slice(20, 24) as string
  const cut = (await askJson(engine, '/v1/completions', { ...body, stop })).choices[0]
  assert.equal(cut.text, text.slice(0, text.indexOf(stop)))
  assert.equal(cut.finish_reason, 'stop')
  assert.equal(cut.stop_reason, stop)
})

void test('prompts may be texts, token ids, or lists, and usage counts all of them', async () => {
  const engine = quick()
  const { tokens } = await askJson(engine, '/tokenize', { prompt: 'Hello world' })
  const byText = await askJson(engine, '/v1/completions', { prompt: 'Hello world', max_tokens: 8 })
  const byIds = await askJson(engine, '/v1/completions', { prompt: tokens, max_tokens: 8 })
  assert.equal(byIds.choices[0].text, byText.choices[0].text)
  const list = await askJson(engine, '/v1/completions', {
    prompt: ['Hello world', tokens],
    n: 2,
    max_tokens: 8,
  })
  assert.deepEqual(
    list.choices.map((choice: { index: number }) => choice.index),
    [0, 1, 2, 3],
  )
  assert.equal(list.usage.prompt_tokens, 2 * tokens.length)
  assert.equal(list.usage.completion_tokens, 32)
})

void test('text turns into tokens and back without loss', async () => {
  const engine = quick()
  for (const prompt of [
    'Hello, world!\n\n  indented\tand Ünïcödé — 漢字 🙂🙃 end',
    ' ',
    'a'.repeat(99),
    '<|im_start|>',
  ]) {
    const { tokens, count } = await askJson(engine, '/tokenize', { prompt })
    assert.equal(count, tokens.length)
    assert.equal((await askJson(engine, '/detokenize', { tokens })).prompt, prompt)
  }
})

void test('the engine tells what it saw until it is reset', async () => {
  const engine = quick()
  await ask(engine, '/v1/chat/completions?a=1', chat('hi', { max_tokens: 2 }), {
    headers: { 'X-Tenant': 'T' },
  })
  const { requests, finished, tokens } = engine.seen()
  assert.equal(requests[0]?.path, '/v1/chat/completions?a=1')
  assert.ok(requests[0]?.headers.some(([name, value]) => name === 'x-tenant' && value === 'T'))
  assert.equal(JSON.parse(requests[0]?.body ?? '').max_tokens, 2)
  assert.deepEqual({ finished, tokens }, { finished: 1, tokens: 2 })
  engine.reset()
  assert.deepEqual(engine.seen(), {
    requests: [],
    running: 0,
    waiting: 0,
    finished: 0,
    aborted: 0,
    tokens: 0,
    handovers: [],
  })
})

void test('a sleeping engine keeps calls waiting until it wakes', async () => {
  const engine = quick()
  await ask(engine, '/sleep?level=1', {})
  const call = ask(engine, '/v1/completions', { prompt: 'x' })
  await settle()
  assert.equal(engine.seen().waiting, 1)
  assert.equal((await askJson(engine, '/is_sleeping')).is_sleeping, true)
  await ask(engine, '/wake_up', {})
  assert.equal((await call).status, 200)
})

void test('one event comes in one chunk, and the usage chunk has no choices', async () => {
  const body = chat('x', { stream: true, max_tokens: 3, stream_options: { include_usage: true } })
  const response = await ask(quick(), '/v1/chat/completions', body)
  const chunks: string[] = []
  for await (const bytes of response.body as ReadableStream<Uint8Array>)
    chunks.push(new TextDecoder().decode(bytes))
  assert.ok(chunks.every((chunk) => chunk.indexOf('\n\n') === chunk.length - 2))
  const events = eventsOf(chunks.join(''))
  assert.deepEqual(events.at(-1).choices, [])
  assert.equal(events.at(-1).usage.completion_tokens, 3)
  assert.equal(chunks.at(-1), 'data: [DONE]\n\n')
})
