// The Vercel AI SDK with its provider for OpenAI-compatible servers, unchanged, in front of the router.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  embed,
  embedMany,
  generateText,
  jsonSchema,
  Output,
  stepCountIs,
  streamText,
  tool,
} from 'ai'
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ANSWER_SCHEMA, KEYS, type Fleet, MODEL, startFleet, WEATHER_SCHEMA } from './_fleet.ts'

interface Weather {
  readonly city: string
  readonly days: number
}
interface Answer {
  readonly city: string
  readonly warm: boolean
}

const prompt = 'Which worker answers me?'
const output = Output.object({ schema: jsonSchema<Answer>(ANSWER_SCHEMA) })

let fleet: Fleet
const provider = (apiKey = KEYS.plain) =>
  createOpenAICompatible({
    name: 'fetchway',
    baseURL: `${fleet.url}/v1`,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })
const base = () => ({ model: provider()(MODEL), temperature: 0, maxRetries: 0 })

before(async () => {
  fleet = await startFleet()
})
after(() => fleet.close())

test('text is generated, with its usage', async () => {
  const reply = await generateText({ ...base(), prompt, maxOutputTokens: 12 })
  assert.notEqual(reply.text, '')
  assert.ok((reply.usage.inputTokens ?? 0) > 0 && (reply.usage.outputTokens ?? 0) > 0)
})

test('a stream says what the whole answer says, and tells its usage', async () => {
  const whole = await generateText({ ...base(), prompt, maxOutputTokens: 12 })
  const stream = streamText({ ...base(), prompt, maxOutputTokens: 12 })
  let said = ''
  let pieces = 0
  for await (const piece of stream.textStream) {
    said += piece
    pieces++
  }
  assert.equal(said, whole.text)
  assert.ok(pieces > 1, 'the answer came in one piece')
  assert.deepEqual((await stream.usage).outputTokens, whole.usage.outputTokens)
  assert.equal(await stream.finishReason, whole.finishReason)
})

test('a tool is called, and its result goes back in a second step', async () => {
  const asked: Weather[] = []
  const reply = await generateText({
    ...base(),
    prompt,
    maxOutputTokens: 200,
    tools: { get_weather: weatherTool((given) => asked.push(given)) },
    prepareStep: ({ stepNumber }) => ({
      toolChoice: stepNumber ? 'none' : { type: 'tool', toolName: 'get_weather' },
    }),
    stopWhen: stepCountIs(2),
  })
  assert.equal(reply.steps.length, 2)
  assertWeather(asked[0])
})

test('a tool call is put together from a stream', async () => {
  const asked: Weather[] = []
  const stream = streamText({
    ...base(),
    prompt,
    maxOutputTokens: 200,
    tools: { get_weather: weatherTool((given) => asked.push(given)) },
    toolChoice: { type: 'tool', toolName: 'get_weather' },
  })
  await stream.consumeStream()
  assert.equal((await stream.toolCalls).length, 1)
  assertWeather(asked[0])
})

test('structured output parses, whole and as a stream', async () => {
  const reply = await generateText({ ...base(), prompt, output, maxOutputTokens: 80 })
  assert.ok(['Paris', 'Tokyo'].includes(reply.output.city))
  const stream = streamText({ ...base(), prompt, output, maxOutputTokens: 80 })
  await stream.consumeStream()
  assert.equal(typeof (await stream.output).warm, 'boolean')
})

test('one value and many are embedded', { skip: startFleet.generatesOnly }, async () => {
  const model = provider().embeddingModel(MODEL)
  const one = await embed({ model, value: 'one', maxRetries: 0 })
  const many = await embedMany({ model, values: ['one', 'two'], maxRetries: 0 })
  assert.ok(one.embedding.length > 0)
  assert.deepEqual(many.embeddings[0], one.embedding)
  assert.notDeepEqual(many.embeddings[1], one.embedding)
})

test('an unknown model is an APICallError with the words of the refusal', async () => {
  const model = provider()('nope')
  await assert.rejects(generateText({ model, prompt, maxRetries: 0 }), (error) => {
    assert.ok(APICallError.isInstance(error))
    assert.equal(error.statusCode, 404)
    assert.equal(error.isRetryable, false)
    assert.match(error.message, /nope/)
    return true
  })
})

test('a wrong key is not worth a retry, a limit is', { skip: startFleet.isForeign }, async () => {
  const failure = async (apiKey: string) => {
    try {
      await generateText({ model: provider(apiKey)(MODEL), prompt, maxOutputTokens: 2, maxRetries: 0 })
    } catch (error) {
      if (APICallError.isInstance(error)) return error
      throw error
    }
    return undefined
  }
  const unknown = await failure('sk-wrong')
  assert.deepEqual([unknown?.statusCode, unknown?.isRetryable], [401, false])
  assert.equal(await failure(KEYS.slow), undefined)
  const limited = await failure(KEYS.slow)
  assert.deepEqual([limited?.statusCode, limited?.isRetryable], [429, true])
  assert.ok(Number(limited?.responseHeaders?.['retry-after']) > 0)
})

test('an error of a stream reaches onError', async () => {
  let heard: unknown
  const stream = streamText({
    model: provider()('nope'),
    prompt,
    maxRetries: 0,
    onError: ({ error }) => {
      heard = error
    },
  })
  await stream.consumeStream()
  assert.ok(APICallError.isInstance(heard))
  assert.equal(heard.statusCode, 404)
})

test('aborting a stream frees the engine', async () => {
  const controller = new AbortController()
  // The provider has no word for ignore_eos, so the call says it in its own field.
  const options = { providerOptions: { fetchway: { ignore_eos: true } }, abortSignal: controller.signal }
  const stream = streamText({ ...base(), ...options, prompt, maxOutputTokens: 1500 })
  let pieces = 0
  for await (const piece of stream.textStream) {
    pieces += piece ? 1 : 0
    if (pieces === 3) {
      assert.equal(await fleet.running(), 1)
      controller.abort()
    }
  }
  assert.ok(await fleet.fallsIdle(), 'the engine goes on for nobody')
})

function weatherTool(called: (given: Weather) => void) {
  return tool({
    description: 'Weather of a city',
    inputSchema: jsonSchema<Weather>(WEATHER_SCHEMA),
    strict: true,
    execute: (given) => {
      called(given)
      return Promise.resolve({ sky: 'clear' })
    },
  })
}

function assertWeather(given: Weather | undefined): void {
  assert.ok(
    given && ['Paris', 'Tokyo'].includes(given.city) && [1, 2].includes(given.days),
    JSON.stringify(given),
  )
}
