// A stream that dies never looks finished.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ANSWER, delta, DONE, engine, LAST, type Behaviour, type EngineOptions } from './_engine.ts'
import { CHAT, open, router, send, STREAM, type Got, type Router } from './_router.ts'

const PATHS = {
  chat: CHAT,
  completions: '/v1/completions',
  messages: '/v1/messages',
  responses: '/v1/responses',
  generate: '/generate',
}
type Shape = keyof typeof PATHS

const FIRST: Readonly<Record<Shape, string>> = {
  chat: delta('a'),
  completions:
    'data: {"id":"c","object":"text_completion","choices":[{"index":0,"text":"a","finish_reason":null}]}\n\n',
  messages:
    'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":3,"output_tokens":0}}}\n\n' +
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n',
  responses:
    'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":7,"model":"m","status":"in_progress","output":[]}}\n\n' +
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"delta":"a"}\n\n',
  generate: 'data: {"text":"a","meta_info":{"id":"g","completion_tokens":1,"finish_reason":null}}\n\n',
}

async function fleet(t: TestContext, behave: Behaviour, options: EngineOptions = {}): Promise<Router> {
  const worker = await engine(t, behave, options)
  return router(t, { workers: [worker.url], breakerFailures: 0 })
}

const optionsOf = (shape: Shape): EngineOptions => ({ owner: shape === 'generate' ? 'sglang' : 'vllm' })

/** A stream whose worker breaks the connection when its client has what came first. */
async function dies(t: TestContext, shape: Shape, text: string): Promise<{ made: Router; got: Got }> {
  let die = () => {}
  const behave: Behaviour = (call) => {
    call.begin().write(text)
    die = () => call.die()
  }
  const made = await fleet(t, behave, optionsOf(shape))
  const client = await open(made.url, { path: PATHS[shape], body: STREAM }).sees(FIRST[shape])
  die()
  return { made, got: await client.ended }
}

const stream = (made: Router, path = CHAT): Promise<Got> => send(made.url, { path, body: STREAM })

/** Events of a stream: `[name, data]`. Fails where a line is no part of an event. */
function eventsOf(text: string): [string, string][] {
  assert.ok(text.endsWith('\n\n'), 'the last event is complete')
  return text
    .split('\n\n')
    .slice(0, -1)
    .filter((event) => event !== '')
    .map((event) => {
      const lines = event.split('\n').filter((line) => !line.startsWith(':'))
      for (const line of lines) assert.match(line, /^(event|data|id|retry): ?/)
      const of = (field: string) =>
        lines.find((line) => line.startsWith(field))?.slice(field.length + 2) ?? ''
      return [of('event'), of('data')]
    })
}

/** The last event must tell an error in the words of the API. */
function tellsError(shape: Shape, text: string): void {
  assert.ok(!text.includes('[DONE]'))
  const [name, data] = eventsOf(text).at(-1) as [string, string]
  const value = JSON.parse(data) as Record<string, Record<string, unknown>>
  if (shape === 'messages') {
    assert.equal(name, 'error')
    assert.equal(value['type'], 'error')
    assert.equal(value['error']?.['type'], 'api_error')
    return
  }
  if (shape === 'responses') {
    assert.equal(name, 'response.failed')
    assert.equal(value['response']?.['id'], 'resp_1')
    assert.equal(value['response']?.['status'], 'failed')
    assert.equal(value['sequence_number'], 2)
    return
  }
  assert.equal(name, '')
  assert.equal(value['error']?.['code'], 'worker_died')
  assert.equal(typeof value['error']?.['message'], 'string')
}

describe('a stream that dies', { concurrency: 2 }, () => {
  for (const shape of Object.keys(PATHS) as Shape[]) {
    it(`ends with an error event of its API: ${shape}`, async (t) => {
      const { made, got } = await dies(t, shape, FIRST[shape])
      assert.equal(got.status, 200)
      assert.ok(got.text.startsWith(FIRST[shape]), 'what came is passed on unchanged')
      tellsError(shape, got.text)
      await made.rests()
      assert.equal(await made.metric('fetchway_requests_total', 'outcome="truncated"'), 1)
      assert.equal(await made.metric('fetchway_requests_total', 'outcome="ok"'), 0)
    })

    it(`closes half an event by a blank line first: ${shape}`, async (t) => {
      const half = shape === 'messages' || shape === 'responses' ? 'event: x\ndata: {"ty' : 'data: {"id":"cha'
      const { text } = (await dies(t, shape, FIRST[shape] + half)).got
      // Whether the half is shown or held back, the error stands on its own.
      tellsError(shape, text)
    })

    it(`is told from one that was finished when it ends cleanly in the midst: ${shape}`, async (t) => {
      const made = await fleet(t, (call) => call.begin().write(FIRST[shape]).end(), optionsOf(shape))
      if (shape === 'generate') return tellsError(shape, (await stream(made, PATHS[shape])).text)
      tellsError(shape, (await stream(made, PATHS[shape])).text)
      assert.equal(await made.metric('fetchway_requests_total', 'outcome="truncated"'), 1)
    })
  }

  it('that had told its finish before is whole', async (t) => {
    const made = await fleet(t, (call) => call.begin().write(delta('a')).write(LAST).end())
    const { text, isWhole } = await stream(made)
    assert.equal(text, delta('a') + LAST)
    assert.ok(isWhole)
  })

  it('after an error that the engine told itself gets no second one', async (t) => {
    const told = 'data: {"error":{"message":"out of memory","code":500}}\n\n'
    const made = await fleet(t, (call) => call.begin().write(delta('a')).write(told).end())
    assert.equal((await stream(made)).text, delta('a') + told)
    assert.equal(await made.metric('fetchway_requests_total', 'outcome="ok"'), 0)
  })

  it('without chunked framing, by the close of its connection, is told too', async (t) => {
    const made = await fleet(t, (call) => {
      call.socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${delta('a')}`)
    })
    tellsError('chat', (await stream(made)).text)
  })

  it('reaches its client at once, not when the connection is cleaned up', async (t) => {
    const made = await fleet(t, (call) => call.begin().write(delta('a')))
    const client = await open(made.url, { body: STREAM }).sees('"a"')
    const { workers } = await made.status()
    assert.equal(workers[0]?.in_flight, 1)
    client.leave()
    await made.rests()
  })
})

describe('an answer that is no stream', () => {
  it('breaks the connection when the worker dies inside it', async (t) => {
    let die = () => {}
    const made = await fleet(t, (call) => {
      call.begin('application/json').write(ANSWER.slice(0, 50))
      die = () => call.die()
    })
    const client = await open(made.url).sees(ANSWER.slice(0, 50))
    die()
    const got = await client.ended
    assert.equal(got.isWhole, false)
    assert.equal(got.text, ANSWER.slice(0, 50))
    await made.rests()
  })

  it('breaks the connection when fewer bytes come than were announced', async (t) => {
    const made = await fleet(t, (call) => {
      const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n'
      call.socket.end(head + ANSWER.slice(0, 100))
    })
    const got = await send(made.url)
    assert.equal(got.isWhole, false)
    assert.equal(await made.metric('fetchway_requests_total', 'outcome="truncated"'), 1)
  })

  it('that is sound or pictures breaks the same way', async (t) => {
    let die = () => {}
    const made = await fleet(t, (call) => {
      call.begin('audio/mpeg').write('ID3abc')
      die = () => call.die()
    })
    const client = await open(made.url, { path: '/v1/audio/speech' }).sees('ID3abc')
    die()
    const got = await client.ended
    assert.equal(got.isWhole, false)
    assert.equal(got.text, 'ID3abc')
  })

  it('ends whole when it was whole', async (t) => {
    const made = await fleet(t, (call) => call.begin().write(delta('a')).write(LAST).write(DONE).end())
    assert.ok((await stream(made)).isWhole)
  })
})
