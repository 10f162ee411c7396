// Every class of endpoint answers through the router as it would without it.
import assert from 'node:assert/strict'
import type { Journeys } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventsOf, headerOf, saidIn, W1, W2 } from './_rig.ts'

const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const TOOLS = [{ type: 'function', function: { name: 'get_weather', parameters: PARAMETERS } }]

function sound(): FormData {
  const form = new FormData()
  form.append('file', new File([new Uint8Array(4000)], 'voice.wav', { type: 'audio/wav' }))
  form.append('model', 'm')
  return form
}

export const endpoints: Journeys = {
  async 'a chat is answered, and says by whom'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    const { status, headers, body } = await rig.post(CHAT, chat())
    assert.equal(status, 200)
    assert.ok(body.choices[0].message.content.length > 0)
    assert.equal(headers.get('x-fetchway-worker'), (await rig.worker(W1)).id)
    assert.match(headers.get('x-fetchway-decision') ?? '', /^d-/)
    assert.equal(headers.get('content-type'), 'application/json')
  },

  async 'unknown fields and odd spelling reach the engine byte for byte'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    const text =
      '{ "model" :"m","x_future":[1e400,{"é":"\\u00e9"}],\n"messages":[{"role":"user","content":"hi"}] }'
    assert.equal((await rig.post(`${CHAT}?a=1&b`, text)).status, 200)
    assert.equal(callsOf(w1)[0]?.body, text)
    assert.equal(callsOf(w1)[0]?.path, `${CHAT}?a=1&b`)
  },

  async 'a streamed chat says what the whole answer says, and ends with [DONE]'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const whole = await rig.post(CHAT, chat())
    const { headers, text } = await rig.post(CHAT, chat({ stream: true }))
    assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
    assert.equal(saidIn(text), whole.body.choices[0].message.content)
    assert.ok(text.endsWith('data: [DONE]\n\n'))
  },

  async 'usage that nobody asked for is counted and not shown; asked for, it is shown'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    const silent = await rig.post(CHAT, chat({ stream: true }))
    assert.ok(eventsOf(silent.text).every((event) => event.choices.length === 1 && !event.usage))
    assert.match(callsOf(w1)[0]?.body ?? '', /"include_usage":\s*true/)
    const asked = await rig.post(CHAT, chat({ stream: true, stream_options: { include_usage: true } }))
    const usage = eventsOf(asked.text).at(-1).usage
    assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0)
    await rig.rests()
    const counted = await rig.metric('fetchway_tokens_total', 'kind="completion",estimated="false"')
    assert.equal(counted, 2 * usage.completion_tokens)
  },

  async 'usage off leaves the request alone'({ open }) {
    const w1 = engine()
    const rig = await open({ usage: 'off' }, { [W1]: w1 })
    const text = JSON.stringify(chat({ stream: true }))
    await rig.post(CHAT, text)
    assert.equal(callsOf(w1)[0]?.body, text)
  },

  async 'tools are called, whole and streamed'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const ask = chat({ tools: TOOLS, tool_choice: 'required', max_tokens: 200 })
    const whole = await rig.post(CHAT, ask)
    const called = whole.body.choices[0].message.tool_calls[0].function
    assert.equal(called.name, 'get_weather')
    const { text } = await rig.post(CHAT, { ...ask, stream: true })
    const calls = eventsOf(text).flatMap((event) => event.choices[0]?.delta.tool_calls ?? [])
    assert.equal(calls.map((call) => call.function.arguments ?? '').join(''), called.arguments)
  },

  async 'an answer is held to a JSON schema'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const response_format = { type: 'json_schema', json_schema: { name: 'a', schema: PARAMETERS } }
    const { body } = await rig.post(CHAT, chat({ response_format, max_tokens: 200 }))
    assert.equal(typeof JSON.parse(body.choices[0].message.content).city, 'string')
  },

  async 'completions answer, whole and streamed'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const ask = { model: 'm', prompt: 'Once upon', max_tokens: 6 }
    const { body } = await rig.post('/v1/completions', ask)
    const { text } = await rig.post('/v1/completions', { ...ask, stream: true })
    const said = eventsOf(text).map((event) => event.choices[0]?.text ?? '')
    assert.equal(said.join(''), body.choices[0].text)
    assert.ok(eventsOf(text).every((event) => !event.usage))
  },

  async 'messages stream in their own shape, count their tokens, and fail in their own shape'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const ask = { model: 'm', max_tokens: 6, messages: [{ role: 'user', content: 'hi' }] }
    const whole = await rig.post('/v1/messages', ask)
    assert.equal(whole.body.type, 'message')
    const { text } = await rig.post('/v1/messages', { ...ask, stream: true })
    assert.match(text, /^event: message_start\n/)
    assert.match(text, /event: message_stop\n[^\n]*\n\n$/)
    const count = await rig.post('/v1/messages/count_tokens', ask)
    assert.ok(count.body.input_tokens > 0)
    const refused = await rig.post('/v1/messages', { ...ask, model: 'nobody' })
    assert.equal(refused.status, 404)
    assert.deepEqual([refused.body.type, refused.body.error.type], ['error', 'not_found_error'])
    assert.equal(refused.body.error.code, 'model_not_found')
  },

  async 'responses stay on their worker: by id, continued, and cancelled'({ open }) {
    const rig = await open(
      { policy: 'round_robin' },
      { [W1]: engine({ seed: 1 }), [W2]: engine({ seed: 2 }) },
    )
    const made = await rig.post('/v1/responses', { model: 'm', input: 'Remember 7.' })
    assert.equal(made.status, 200)
    const home = made.headers.get('x-fetchway-worker')
    for (let round = 0; round < 3; round++) {
      const found = await rig.ask(`/v1/responses/${made.body.id}`)
      assert.deepEqual([found.status, found.body.id], [200, made.body.id])
      const next = { model: 'm', input: 'And?', previous_response_id: made.body.id }
      const went = await rig.post('/v1/responses', next)
      assert.deepEqual([went.status, went.headers.get('x-fetchway-worker')], [200, home])
    }
    const background = await rig.post('/v1/responses', { model: 'm', input: 'Long.', background: true })
    const cancelled = await rig.ask(`/v1/responses/${background.body.id}/cancel`, { method: 'POST' })
    assert.equal(cancelled.status, 200)
    const unknown = await rig.ask('/v1/responses/resp_none')
    assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'state_not_found'])
  },

  async 'a streamed response is stored where it was made'({ open }) {
    const rig = await open(
      { policy: 'round_robin' },
      { [W1]: engine({ seed: 1 }), [W2]: engine({ seed: 2 }) },
    )
    const { text, headers } = await rig.post('/v1/responses', { model: 'm', input: 'hi', stream: true })
    const done = eventsOf(text).at(-1)
    assert.equal(done.type, 'response.completed')
    await rig.rests()
    const found = await rig.ask(`/v1/responses/${done.response.id}`)
    assert.deepEqual(
      [found.status, found.headers.get('x-fetchway-worker')],
      [200, headers.get('x-fetchway-worker')],
    )
  },

  async 'a stored response is found by asking when nobody remembers it'({ open, close }) {
    const fleet = { [W1]: engine({ seed: 1 }), [W2]: engine({ seed: 2 }) }
    const before = await open({}, fleet)
    const made = await before.post('/v1/responses', { model: 'm', input: 'hi' })
    await close(before)
    const rig = await open({}, fleet)
    const found = await rig.ask(`/v1/responses/${made.body.id}`)
    assert.deepEqual([found.status, found.body.id], [200, made.body.id])
  },

  async 'embeddings come as numbers or packed'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const { body } = await rig.post('/v1/embeddings', { model: 'm', input: ['a', 'b'] })
    assert.equal(body.data.length, 2)
    const packed = await rig.post('/v1/embeddings', { model: 'm', input: 'a', encoding_format: 'base64' })
    assert.equal(typeof packed.body.data[0].embedding, 'string')
  },

  async 'rerank, score, classify and pooling answer'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const documents = ['one', 'two', 'three']
    for (const path of ['/rerank', '/v1/rerank', '/v2/rerank']) {
      const { status, body } = await rig.post(path, { model: 'm', query: 'two', documents })
      assert.deepEqual([path, status, body.results.length], [path, 200, 3])
    }
    for (const path of ['/score', '/v1/score']) {
      const { status, body } = await rig.post(path, { model: 'm', text_1: 'a', text_2: documents })
      assert.deepEqual([path, status, body.data.length], [path, 200, 3])
    }
    for (const path of ['/classify', '/pooling']) {
      const { status, body } = await rig.post(path, { model: 'm', input: 'a' })
      assert.deepEqual([path, status, body.data.length], [path, 200, 1])
    }
  },

  async 'tokens are made of text and text of tokens'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const { body } = await rig.post('/tokenize', { model: 'm', prompt: 'hello there' })
    const back = await rig.post('/detokenize', { model: 'm', tokens: body.tokens })
    assert.equal(back.body.prompt, 'hello there')
  },

  async 'sound is heard from a form, whole and streamed'({ open }) {
    const w1 = engine()
    const rig = await open({ aliases: { ear: 'm' } }, { [W1]: w1 })
    const whole = await rig.ask('/v1/audio/transcriptions', { body: sound() })
    assert.deepEqual([whole.status, whole.body.text], [200, 'Heard voice.wav of 4000 bytes.'])
    const form = sound()
    form.set('stream', 'true')
    form.set('model', 'ear')
    const streamed = await rig.ask('/v1/audio/transcriptions', { body: form })
    assert.equal(saidIn(streamed.text), whole.body.text)
    const { body } = await rig.ask('/v1/audio/translations', { body: sound() })
    assert.equal(body.text, whole.body.text)
  },

  async 'speech and pictures pass as they are'({ open }) {
    const rig = await open({}, { [W1]: engine({ engine: 'sglang' }) })
    const response = await rig.request('/v1/audio/speech', { body: { model: 'm', input: 'one two' } })
    const wave = await response.bytes()
    assert.equal(response.headers.get('content-type'), 'audio/wav')
    assert.equal(new TextDecoder().decode(wave.subarray(0, 4)), 'RIFF')
    assert.equal(wave.length, 44 + 1600)
    const { body } = await rig.post('/v1/images/generations', { model: 'm', prompt: 'a dot', n: 2 })
    assert.equal(body.data.length, 2)
  },

  async 'an endpoint that only some engines have goes to those'({ open }) {
    const [vllm, sglang] = [engine(), engine({ engine: 'sglang' })]
    const rig = await open({ policy: 'round_robin' }, { [W1]: vllm, [W2]: sglang })
    const native = { text: 'Hello', sampling_params: { max_new_tokens: 4 } }
    for (let round = 0; round < 3; round++) assert.equal((await rig.post('/generate', native)).status, 200)
    assert.deepEqual([callsOf(vllm).length, callsOf(sglang).length], [0, 3])
    const streamed = await rig.post('/generate', { ...native, stream: true })
    assert.equal(eventsOf(streamed.text).length, 4)
    for (let round = 0; round < 3; round++)
      assert.equal((await rig.post('/pooling', { model: 'm', input: 'a' })).status, 200)
    assert.equal(callsOf(vllm).length, 3)
  },

  async 'an unknown path under /v1 passes through; one elsewhere is not found'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    const passed = await rig.post('/v1/future', { model: 'm' })
    assert.deepEqual([passed.status, passed.body.detail], [404, 'Not Found'])
    assert.equal(callsOf(w1)[0]?.path, '/v1/future')
    const elsewhere = await rig.ask('/elsewhere')
    assert.deepEqual([elsewhere.status, elsewhere.body.error.code], [404, 'not_found'])
  },

  async 'a method that an endpoint does not take is told with the one that it does'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT']) {
      const { status, headers } = await rig.ask(CHAT, { method })
      assert.deepEqual([status, headers.get('allow')], [405, 'POST'], method)
    }
  },

  async 'an engine that refuses is heard in its own words'({ open }) {
    const rig = await open({}, { [W1]: engine() })
    const { status, body, headers } = await rig.post(CHAT, chat({ temperature: -1 }))
    assert.equal(status, 400)
    assert.match(body.error.message, /temperature/)
    assert.equal(headers.get('x-fetchway-error'), null)
    assert.ok(headers.get('x-fetchway-worker'))
  },

  async 'a body that is no JSON is refused with the place where it broke'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    for (const text of ['{"model":', '[]', 'x', '{"model":7}']) {
      const { status, body, headers } = await rig.post(CHAT, text)
      assert.equal(status, 400, text)
      assert.equal(headers.get('x-fetchway-error'), body.error.code)
    }
    assert.equal((await rig.ask(CHAT, { method: 'POST' })).body.error.code, 'empty_body')
    assert.equal(callsOf(w1).length, 0)
  },

  async 'a request keeps its id all the way, and gets one when it has none'({ open }) {
    const w1 = engine()
    const rig = await open({}, { [W1]: w1 })
    const named = await rig.post(CHAT, chat(), { 'x-request-id': 'mine-1' })
    assert.equal(named.headers.get('x-request-id'), 'mine-1')
    assert.equal(headerOf(callsOf(w1)[0], 'x-request-id'), 'mine-1')
    const made = await rig.post(CHAT, chat({ stream: true }))
    assert.equal(headerOf(callsOf(w1)[1], 'x-request-id'), made.headers.get('x-request-id'))
    const refused = await rig.post(CHAT, chat({ model: 'nobody' }), { 'x-request-id': 'mine-2' })
    assert.equal(refused.headers.get('x-request-id'), 'mine-2')
  },
}
