// The `openai` package, unchanged, in front of the router.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import OpenAI, { toFile } from 'openai'
import { ANSWER_SCHEMA, KEYS, type Fleet, MODEL, silence, startFleet, WEATHER_SCHEMA } from './_fleet.ts'

const hello = [{ role: 'user', content: 'Which worker answers me?' }] as const
const ask = { model: MODEL, messages: [...hello], temperature: 0, max_tokens: 12 }
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Weather of a city',
    parameters: WEATHER_SCHEMA,
    strict: true,
  },
} as const
const answer = {
  type: 'json_schema',
  json_schema: { name: 'answer', strict: true, schema: ANSWER_SCHEMA },
} as const

let fleet: Fleet
let client: OpenAI
const clientWith = (apiKey: string) =>
  new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey, maxRetries: 0, timeout: 10_000 })

before(async () => {
  fleet = await startFleet()
  client = clientWith(KEYS.plain)
})
after(() => fleet.close())

test('a chat is answered, with its usage', async () => {
  const reply = await client.chat.completions.create(ask)
  assert.equal(reply.object, 'chat.completion')
  assert.equal(reply.model, MODEL)
  assert.notEqual(reply.choices[0]?.message.content ?? '', '')
  const {
    prompt_tokens: sent,
    completion_tokens: made,
    total_tokens: all,
  } = reply.usage ?? assert.fail('no usage')
  assert.ok(sent > 0 && made > 0 && made <= 12)
  assert.equal(sent + made, all)
})

test('two choices and log probabilities come back as asked', async () => {
  const reply = await client.chat.completions.create({
    ...ask,
    temperature: 1,
    n: 2,
    logprobs: true,
    top_logprobs: 1,
  })
  assert.deepEqual(new Set(reply.choices.map((choice) => choice.index)), new Set([0, 1]))
  assert.ok((reply.choices[0]?.logprobs?.content ?? []).length > 0)
})

test('a stream says what the whole answer says, and ends once', async () => {
  const whole = await client.chat.completions.create(ask)
  let said = ''
  let finished = 0
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
    said += chunk.choices[0]?.delta.content ?? ''
    finished += chunk.choices[0]?.finish_reason ? 1 : 0
    assert.equal(chunk.usage ?? null, null, 'usage that nobody asked for')
    assert.equal(chunk.choices.length, 1, 'a chunk without choices that nobody asked for')
  }
  assert.equal(said, whole.choices[0]?.message.content)
  assert.equal(finished, 1)
})

test('a stream tells its usage in the last chunk when asked', async () => {
  const chunks = []
  const options = { include_usage: true }
  for await (const chunk of await client.chat.completions.create({
    ...ask,
    stream: true,
    stream_options: options,
  }))
    chunks.push(chunk)
  const last = chunks.at(-1)
  assert.deepEqual(last?.choices, [])
  assert.ok((last?.usage?.completion_tokens ?? 0) > 0)
  assert.equal(chunks.filter((chunk) => chunk.usage).length, 1)
})

test('a forced tool is called with arguments of its schema', async () => {
  const choice = { type: 'function', function: { name: 'get_weather' } } as const
  const reply = await client.chat.completions.create({
    ...ask,
    max_tokens: 200,
    tools: [weather],
    tool_choice: choice,
  })
  const call = reply.choices[0]?.message.tool_calls?.[0]
  assertWeather(call)
})

test('a tool call is put together from a stream by the stream helper', async () => {
  const choice = { type: 'function', function: { name: 'get_weather' } } as const
  const stream = client.chat.completions.stream({
    ...ask,
    max_tokens: 200,
    tools: [weather],
    tool_choice: choice,
  })
  const message = await stream.finalMessage()
  assertWeather(message.tool_calls?.[0])
})

test('structured output parses, whole and as a stream', async () => {
  const structured = { ...ask, max_tokens: 80, response_format: answer }
  const reply = await client.chat.completions.parse(structured)
  const parsed = reply.choices[0]?.message.parsed as { city: string } | null | undefined
  assert.ok(['Paris', 'Tokyo'].includes(parsed?.city ?? ''))
  const final = await client.chat.completions.stream(structured).finalContent()
  assert.deepEqual(Object.keys(JSON.parse(final ?? '') as object).sort(), ['city', 'warm'])
})

test('completions take text, lists and token ids', async () => {
  for (const [prompt, choices] of [
    ['Hello', 1],
    [['Hello', 'router'], 2],
    [[5, 6, 7], 1],
    [
      [
        [5, 6],
        [7, 8],
      ],
      2,
    ],
  ] as const) {
    const body = { model: MODEL, prompt: prompt as unknown as string, max_tokens: 3, temperature: 0 }
    const reply = await client.completions.create(body)
    assert.equal(reply.choices.length, choices)
  }
  let said = ''
  const stream = await client.completions.create({
    model: MODEL,
    prompt: 'Hello',
    max_tokens: 5,
    stream: true,
  })
  for await (const chunk of stream) said += chunk.choices[0]?.text ?? ''
  assert.notEqual(said, '')
})

test('responses are created and streamed', async () => {
  const body = { model: MODEL, input: 'Hello', max_output_tokens: 8 }
  const reply = await client.responses.create(body)
  assert.equal(reply.object, 'response')
  const kinds = []
  for await (const event of await client.responses.create({ ...body, stream: true })) kinds.push(event.type)
  assert.equal(kinds[0], 'response.created')
  assert.ok(['response.completed', 'response.incomplete'].includes(kinds.at(-1) ?? ''), kinds.at(-1))
})

test(
  'embeddings arrive as numbers, however the package asked for them',
  { skip: startFleet.generatesOnly },
  async () => {
    const asked = await client.embeddings.create({
      model: MODEL,
      input: ['one', 'two'],
      encoding_format: 'float',
    })
    const decoded = await client.embeddings.create({ model: MODEL, input: ['one', 'two'] })
    assert.deepEqual(
      decoded.data.map((each) => each.index),
      [0, 1],
    )
    const [floats, fromBase64] = [asked.data[0]?.embedding ?? [], decoded.data[0]?.embedding ?? []]
    assert.ok(floats.length > 0)
    assert.equal(fromBase64.length, floats.length)
    for (const [at, value] of floats.entries()) assert.ok(Math.abs(value - (fromBase64[at] as number)) < 1e-5)
  },
)

test('a recording is transcribed', { skip: startFleet.generatesOnly }, async () => {
  const file = await toFile(silence(), 'silence.wav', { type: 'audio/wav' })
  const reply = await client.audio.transcriptions.create({ file, model: MODEL })
  assert.equal(typeof reply.text, 'string')
})

test('the model list names the model once, for any number of workers', async () => {
  const ids = []
  for await (const model of client.models.list()) ids.push(model.id)
  assert.equal(ids.filter((id) => id === MODEL).length, 1)
})

test('one model is found by its name', { skip: startFleet.isForeign }, async () => {
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL)
  await assert.rejects(client.models.retrieve('nope'), OpenAI.NotFoundError)
})

test('an unknown model is a NotFoundError that names the model', async () => {
  await assert.rejects(client.chat.completions.create({ ...ask, model: 'nope' }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError)
    assert.match(error.message, /nope/)
    return true
  })
  await assert.rejects(
    client.chat.completions.create({ ...ask, model: 'nope', stream: true }),
    OpenAI.NotFoundError,
  )
})

test('a request that the engine refuses is a BadRequestError in the words of the engine', async () => {
  await assert.rejects(client.chat.completions.create({ ...ask, temperature: -1 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError)
    assert.match(error.message, /temperature/)
    return true
  })
})

test('a wrong key is an AuthenticationError', { skip: startFleet.isForeign }, async () => {
  await assert.rejects(clientWith('sk-wrong').chat.completions.create(ask), OpenAI.AuthenticationError)
})

test(
  'a key over its limit is a RateLimitError that says when to come back',
  { skip: startFleet.isForeign },
  async () => {
    const slow = clientWith(KEYS.slow)
    await slow.chat.completions.create(ask)
    await assert.rejects(slow.chat.completions.create(ask), (error) => {
      assert.ok(error instanceof OpenAI.RateLimitError)
      assert.ok(Number(error.headers?.get('retry-after')) > 0)
      return true
    })
  },
)

test('aborting a stream frees the engine', async () => {
  const long = { ...ask, max_tokens: 1500, ignore_eos: true, stream: true } as const
  const stream = await client.chat.completions.create(long)
  let chunks = 0
  for await (const chunk of stream) {
    chunks += chunk.choices.length
    if (chunks === 3) {
      assert.equal(await fleet.running(), 1)
      stream.controller.abort()
    }
  }
  assert.ok(await fleet.fallsIdle(), 'the engine goes on for nobody')
})

test('aborting a call that does not stream frees the engine', async () => {
  const long = { ...ask, max_tokens: 1500, ignore_eos: true }
  const controller = new AbortController()
  const call = client.chat.completions.create(long, { signal: controller.signal })
  const ended = assert.rejects(call, OpenAI.APIUserAbortError)
  await fleet.becomesBusy()
  controller.abort()
  await ended
  assert.ok(await fleet.fallsIdle(), 'the engine goes on for nobody')
})

function assertWeather(call: OpenAI.Chat.ChatCompletionMessageToolCall | undefined): void {
  assert.ok(call?.type === 'function')
  assert.equal(call.function.name, 'get_weather')
  const given = JSON.parse(call.function.arguments) as { city: string; days: number }
  assert.ok(['Paris', 'Tokyo'].includes(given.city) && [1, 2].includes(given.days), call.function.arguments)
}
