import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEngine } from '../../src/simulator/engine.ts'
import { ask, askJson, chat, eventsOf, HandClock, settle } from './_engine.ts'

const make = (engine: 'vllm' | 'sglang' | 'lmdeploy', more = {}) =>
  createEngine({ engine, speed: 0, ...more })

const PARAMETERS = {
  type: 'object',
  properties: {
    city: { type: 'string', enum: ['Paris', 'Tokyo'] },
    days: { type: 'integer', minimum: 1, maximum: 7 },
    units: { $ref: '#/$defs/units' },
    tags: { type: 'array', items: { type: 'string', minLength: 3 }, minItems: 2 },
  },
  required: ['city', 'days', 'units', 'tags'],
  $defs: { units: { anyOf: [{ const: 'metric' }, { type: 'null' }] } },
}
const TOOLS = [{ type: 'function', function: { name: 'get_weather', parameters: PARAMETERS } }]

function checkArguments(value: { city: string; days: number; units: unknown; tags: string[] }): void {
  assert.ok(['Paris', 'Tokyo'].includes(value.city))
  assert.ok(Number.isInteger(value.days) && value.days >= 1 && value.days <= 7)
  assert.equal(value.units, 'metric')
  assert.ok(value.tags.length >= 2 && value.tags.every((tag) => tag.length >= 3))
}

void test('a tool is called when it is named, required, or mentioned, with arguments that fit its schema', async () => {
  const forced = { type: 'function', function: { name: 'get_weather' } }
  for (const engine of ['vllm', 'sglang', 'lmdeploy'] as const) {
    for (const body of [
      chat('hi', { tools: TOOLS, tool_choice: forced }),
      chat('hi', { tools: TOOLS, tool_choice: 'required' }),
      chat('please get_weather now', { tools: TOOLS }),
    ]) {
      const { message, finish_reason } = (await askJson(make(engine), '/v1/chat/completions', body))
        .choices[0]
      checkArguments(JSON.parse(message.tool_calls[0].function.arguments))
      assert.equal(finish_reason, body['tool_choice'] === forced ? 'stop' : 'tool_calls')
    }
    const none = await askJson(
      make(engine),
      '/v1/chat/completions',
      chat('get_weather', { tools: TOOLS, tool_choice: 'none' }),
    )
    assert.ok(none.choices[0].message.content.length > 0)
  }
})

void test('a streamed tool call tells its name first and its arguments in pieces', async () => {
  const body = chat('hi', { tools: TOOLS, tool_choice: 'required', stream: true })
  for (const engine of ['vllm', 'sglang', 'lmdeploy'] as const) {
    const events = eventsOf(await (await ask(make(engine), '/v1/chat/completions', body)).text())
    const calls = events.flatMap((event) => event.choices[0]?.delta.tool_calls ?? [])
    assert.equal(calls[0].function.name, 'get_weather')
    assert.ok(calls.length > 3)
    checkArguments(JSON.parse(calls.map((call) => call.function.arguments ?? '').join('')))
  }
})

void test('an answer can be held to a JSON schema', async () => {
  const response_format = { type: 'json_schema', json_schema: { name: 'a', schema: PARAMETERS } }
  const { content } = (await askJson(make('vllm'), '/v1/chat/completions', chat('hi', { response_format })))
    .choices[0].message
  checkArguments(JSON.parse(content))
  const loose = chat('hi', { response_format: { type: 'json_object' } })
  assert.equal(
    typeof JSON.parse(
      (await askJson(make('vllm'), '/v1/chat/completions', loose)).choices[0].message.content,
    ),
    'object',
  )
})

void test('SGLang serves any model name and refuses in a flat shape', async () => {
  const engine = make('sglang', { maxModelLength: 64 })
  assert.equal((await askJson(engine, '/v1/chat/completions', chat('hi', { model: 'any' }))).model, 'any')
  const response = await ask(engine, '/v1/completions', { prompt: 'word '.repeat(200) })
  assert.equal(response.status, 400)
  const { message, ...rest } = await response.json()
  assert.match(message, /longer than the model's context length/)
  assert.deepEqual(rest, { object: 'error', type: 'BadRequestError', param: null, code: 400 })
})

void test('SGLang ends a stream with a chunk of its own for the finish', async () => {
  const text = await (
    await ask(make('sglang'), '/v1/chat/completions', chat('hi', { stream: true, max_tokens: 2 }))
  ).text()
  const choices = eventsOf(text).map((event) => event.choices[0])
  assert.deepEqual(
    choices.map((choice) => choice.finish_reason),
    [null, null, null, 'length'],
  )
  assert.equal(choices[0].delta.role, 'assistant')
  assert.equal(choices[3].delta.content, null)
})

void test('SGLang /generate tells the whole text so far, and takes batches of texts and ids', async () => {
  const engine = make('sglang')
  const sampling_params = { max_new_tokens: 4, ignore_eos: true }
  const whole = await askJson(engine, '/generate', { text: 'Hello', sampling_params, rid: 'r1' })
  assert.equal(whole.meta_info.id, 'r1')
  assert.deepEqual(whole.meta_info.finish_reason, { type: 'length', length: 4 })
  const stream = eventsOf(
    await (await ask(engine, '/generate', { text: 'Hello', sampling_params, stream: true })).text(),
  )
  assert.equal(stream.length, 4)
  assert.ok(
    stream.every((event, i) => whole.text.startsWith(event.text) && event.output_ids.length === i + 1),
  )
  assert.equal(stream[3].text, whole.text)
  const batch = await askJson(engine, '/generate', { text: ['Hello', 'x'], sampling_params })
  assert.equal(batch.length, 2)
  assert.equal(batch[0].text, whole.text)
  const refused = await ask(engine, '/generate', {})
  assert.deepEqual([refused.status, Object.keys((await refused.json()).error)], [400, ['message']])
})

void test('SGLang tells its load and what it is', async () => {
  const clock = new HandClock()
  const engine = createEngine({ engine: 'sglang' }, clock)
  const body = { text: 'x', sampling_params: { max_new_tokens: 50 } }
  const call = ask(engine, '/generate', body)
  await settle()
  assert.equal((await askJson(engine, '/v1/loads')).loads[0].num_running_reqs, 1)
  assert.equal((await askJson(engine, '/get_load'))[0].num_reqs, 1)
  assert.equal((await ask(engine, '/flush_cache', {})).status, 400)
  await clock.advance(100)
  await clock.advance(1000)
  assert.ok((await (await call).json()).meta_info.completion_tokens > 0)
  assert.equal((await ask(engine, '/flush_cache', {})).status, 200)
  const prefill = createEngine({ engine: 'sglang', role: 'prefill' })
  assert.equal((await askJson(prefill, '/server_info')).disaggregation_mode, 'prefill')
  assert.equal((await askJson(engine, '/get_model_info')).is_generation, true)
})

void test('LMDeploy refuses in its own shapes', async () => {
  const engine = make('lmdeploy')
  const unknown = await ask(engine, '/v1/chat/completions', chat('hi', { model: 'x' }))
  assert.equal(unknown.status, 404)
  const message = "The model 'x' does not exist."
  assert.deepEqual(await unknown.json(), {
    message,
    type: 'not_found_error',
    code: 404,
    param: null,
    object: 'error',
  })
  const shapeless = await ask(engine, '/v1/chat/completions', {})
  assert.equal(shapeless.status, 422)
  assert.deepEqual((await shapeless.json()).detail[0].loc, ['body', 'messages'])
  assert.equal((await ask(engine, '/v1/embeddings', { input: 'a' })).status, 400)
})

void test('LMDeploy names the role in every delta and hands its KV over by blocks', async () => {
  const engine = make('lmdeploy')
  const stream = await (
    await ask(engine, '/v1/chat/completions', chat('hi', { stream: true, max_tokens: 2 }))
  ).text()
  assert.deepEqual(
    eventsOf(stream).map((event) => event.choices[0].delta.role),
    ['assistant', 'assistant'],
  )
  const handed = await askJson(
    engine,
    '/v1/chat/completions',
    chat('hi', { max_tokens: 1, with_cache: true }),
  )
  assert.match(handed.id, /^\d+$/)
  assert.ok(handed.cache_block_ids.length > 0)
  assert.equal(handed.remote_token_ids.length, 1)
  assert.equal(
    typeof JSON.parse(await (await ask(engine, '/distserve/engine_info')).json()).num_gpu_blocks,
    'number',
  )
})

void test('an SGLang engine with a role refuses calls without a room', async () => {
  assert.equal(
    (await ask(make('sglang', { role: 'decode' }), '/v1/chat/completions', chat('hi'))).status,
    400,
  )
})

void test('a response in the background goes on without its client and can be cancelled', async () => {
  const clock = new HandClock()
  const engine = createEngine({ engine: 'vllm' }, clock)
  const body = { input: 'hi', background: true, max_output_tokens: 20 }
  const [first, second] = [
    await askJson(engine, '/v1/responses', body),
    await askJson(engine, '/v1/responses', body),
  ]
  assert.equal(first.status, 'queued')
  await clock.advance(20)
  assert.equal((await askJson(engine, `/v1/responses/${second.id}/cancel`, {})).status, 'cancelled')
  assert.equal(engine.seen().running, 1)
  await clock.advance(1000)
  const done = await askJson(engine, `/v1/responses/${first.id}`)
  assert.ok(['completed', 'incomplete'].includes(done.status))
  const next = await askJson(make('vllm'), '/v1/responses', { input: 'hi', previous_response_id: first.id })
  assert.equal(next.error.code, 404) // it lives on the engine that made it
})

void test('a response remembers the turns before it', async () => {
  const engine = make('vllm')
  const first = await askJson(engine, '/v1/responses', { input: 'hi', instructions: 'be brief' })
  const next = await askJson(engine, '/v1/responses', { input: 'and?', previous_response_id: first.id })
  assert.ok(next.usage.input_tokens > first.usage.total_tokens)
})

void test('messages call tools in their own words', async () => {
  const tools = [{ name: 'get_weather', input_schema: PARAMETERS }]
  const body = {
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: 200,
    tools,
    tool_choice: { type: 'any' },
  }
  const message = await askJson(make('vllm'), '/v1/messages', body)
  assert.equal(message.stop_reason, 'tool_use')
  checkArguments(message.content[0].input)
  const events = eventsOf(await (await ask(make('vllm'), '/v1/messages', { ...body, stream: true })).text())
  checkArguments(JSON.parse(events.map((event) => event.delta?.partial_json ?? '').join('')))
})

void test('sound and pictures go in by name and size, and come out', async () => {
  const form = new FormData()
  form.set('model', 'demo-model')
  form.set('file', new Blob([new Uint8Array(1234)]), 'voice.wav')
  const request = new Request('http://engine/v1/audio/transcriptions', { method: 'POST', body: form })
  assert.match((await (await make('vllm').fetch(request)).json()).text, /voice\.wav of 1234 bytes/)
  const speech = await ask(make('vllm'), '/v1/audio/speech', { input: 'hello there' })
  assert.equal(speech.headers.get('content-type'), 'audio/wav')
  assert.equal(
    (await askJson(make('vllm'), '/v1/images/generations', { prompt: 'a cat', n: 2 })).data.length,
    2,
  )
})

void test('embeddings of the same text are the same, and the nearest document ranks first', async () => {
  const { data } = await askJson(make('vllm'), '/v1/embeddings', { input: ['a', 'a', 'b'] })
  assert.deepEqual(data[0].embedding, data[1].embedding)
  assert.notDeepEqual(data[0].embedding, data[2].embedding)
  const { results } = await askJson(make('vllm'), '/rerank', { query: 'b', documents: ['a', 'b', 'c'] })
  assert.equal(results[0].index, 1)
})

void test('adapters can be loaded and unloaded, and are listed with their parent', async () => {
  const engine = make('vllm', { models: ['base'], adapters: ['one'] })
  await ask(engine, '/v1/load_lora_adapter', { lora_name: 'two', lora_path: '/two' })
  const listed = async () =>
    (await askJson(engine, '/v1/models')).data.map((m: { id: string; parent: string }) => [m.id, m.parent])
  assert.deepEqual(await listed(), [
    ['base', null],
    ['one', 'base'],
    ['two', 'base'],
  ])
  await ask(engine, '/v1/unload_lora_adapter', { lora_name: 'one' })
  assert.equal((await listed()).length, 2)
  assert.equal((await ask(engine, '/v1/completions', { model: 'one', prompt: 'x' })).status, 404)
})

void test('unknown paths and wrong verbs are told apart', async () => {
  for (const engine of ['vllm', 'sglang', 'lmdeploy'] as const) {
    assert.equal((await ask(make(engine), '/nope')).status, 404)
    assert.equal((await ask(make(engine), '/v1/completions')).status, 405)
  }
})

void test('each engine has its own metrics', async () => {
  for (const [engine, name] of [
    ['vllm', 'vllm:num_requests_running'],
    ['sglang', 'sglang:num_running_reqs'],
    ['lmdeploy', 'lmdeploy:num_requests_running'],
  ] as const) {
    const clock = new HandClock()
    const one = createEngine({ engine }, clock)
    const call = ask(one, '/v1/completions', { prompt: 'x', max_tokens: 5 })
    await settle()
    const page = await (await ask(one, '/metrics')).text()
    assert.match(page, new RegExp(`^${name}\\{.*\\} 1\\.0$`, 'm'))
    await clock.advance(1000)
    await call
  }
})

void test('a prompt can be echoed without a token behind it', async () => {
  const body = { prompt: 'Hello there', echo: true, max_tokens: 0, logprobs: 1 }
  const { choices, usage } = await askJson(make('vllm'), '/v1/completions', body)
  assert.equal(choices[0].text, 'Hello there')
  assert.equal(choices[0].logprobs.tokens.join(''), 'Hello there')
  assert.equal(usage.completion_tokens, 0)
})

void test('absurd sizes are refused or bounded, and nothing to do is done at once', async () => {
  const engine = make('vllm')
  assert.equal((await ask(engine, '/v1/embeddings', { input: 'a', dimensions: 1e9 })).status, 400)
  assert.equal(
    (await ask(engine, '/v1/chat/completions', chat('a', { logprobs: true, top_logprobs: 1e9 }))).status,
    400,
  )
  assert.equal((await ask(engine, '/v1/chat/completions', chat('a', { n: 1e9 }))).status, 400)
  assert.deepEqual((await askJson(engine, '/score', { text_1: 'a', text_2: [] })).data, [])
})
