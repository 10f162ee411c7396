// What the router does not know passes unchanged: statuses, bodies, headers, paths, unknown fields, the bytes of streams.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ANSWER, delta, DONE, engine, LAST, ok, type Behaviour, type ScriptedEngine } from './_engine.ts'
import { chat, codeOf, CHAT, router, send, STREAM, type Router, type Sent } from './_router.ts'
import type { ConfigInput } from '../../src/config/schema.ts'

async function single(
  t: TestContext,
  behave: Behaviour = ok,
  config: ConfigInput = {},
): Promise<{ made: Router; worker: ScriptedEngine }> {
  const worker = await engine(t, behave)
  return { worker, made: await router(t, { workers: [worker.url], retries: 0, ...config }) }
}

/** What the worker got for a request. */
async function passed(t: TestContext, sent: Sent, config: ConfigInput = {}) {
  const { made, worker } = await single(t, (call) => call.answer(200, '{}'), config)
  assert.equal((await send(made.url, sent)).status, 200)
  return worker.calls[0] as NonNullable<(typeof worker.calls)[0]>
}

describe('an answer of an engine keeps', { concurrency: 4 }, () => {
  for (const status of [400, 401, 403, 404, 413, 422, 429, 500, 501, 502, 503, 504, 529]) {
    for (const isStream of [false, true]) {
      it(`its ${status}, body and Retry-After (${isStream ? 'stream' : 'whole'})`, async (t) => {
        const body = `{"object":"error","message":"context ü too long","type":"BadRequestError","code":${status}}\n`
        const { made } = await single(t, (call) =>
          call.answer(status, body, { 'Retry-After': '3', 'X-Engine': 'a, b' }),
        )
        const got = await send(made.url, { body: isStream ? STREAM : chat() })
        assert.equal(got.status, status)
        assert.equal(got.text, body)
        assert.equal(got.headers['retry-after'], '3')
        assert.equal(got.headers['x-engine'], 'a, b')
        assert.equal(got.headers['content-type'], 'application/json')
        assert.equal(got.headers['x-fetchway-error'], undefined)
        await made.rests()
      })
    }
  }

  it('its unusual statuses and content types', async (t) => {
    const { made, worker } = await single(t, (call) =>
      call.answer(207, Buffer.from([0, 255, 10, 13]), { 'content-type': 'audio/pcm' }),
    )
    const got = await send(made.url, { path: '/v1/audio/speech' })
    assert.equal(got.status, 207)
    assert.deepEqual(got.bytes, Buffer.from([0, 255, 10, 13]))
    assert.equal(got.headers['content-type'], 'audio/pcm')
    worker.behave = (call) => call.socket.write('HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n')
    const empty = await send(made.url, { path: '/v1/foo' })
    assert.equal(empty.status, 204)
    assert.equal(empty.headers['x-a'], '1')
  })

  it('its headers that come twice, and none of its connection', async (t) => {
    const { made } = await single(t, (call) => {
      call.socket.write(
        'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=7\r\ncontent-length: 2\r\nX-Odd:  a  b \r\n\r\n{}',
      )
    })
    const got = await send(made.url)
    assert.deepEqual(got.headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(got.headers['x-hop'], undefined)
    assert.notEqual(got.headers['keep-alive'], 'timeout=7')
    assert.equal(got.headers['x-odd'], 'a  b')
  })

  it('the bytes of its stream: comments, names, CRLF, several lines of data, pieces torn anywhere', async (t) => {
    const text =
      ': welcome\r\n\r\nevent: note\r\nid: 7\r\nretry: 3\r\ndata: {"choices":[{"index":0,"delta":{"content":"ü🙂"},"finish_reason":null}]}\r\n\r\n' +
      'data: {"choices":[{"index":0,\ndata: "delta":{"content":"b"}}]}\n\n:\n\ndata:{"x":1}\n\n' +
      LAST +
      DONE
    const bytes = Buffer.from(text)
    for (const step of [1, 3, 17, 1000]) {
      const { made } = await single(t, async (call) => {
        call.begin('text/event-stream; charset=utf-8')
        for (let at = 0; at < bytes.length; at += step) {
          call.write(bytes.subarray(at, at + step))
          if (at % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        call.end()
      })
      const got = await send(made.url, { body: STREAM })
      assert.equal(got.text, text, `in pieces of ${step}`)
      assert.equal(got.headers['content-type'], 'text/event-stream; charset=utf-8')
    }
  })
})

describe('a request keeps', { concurrency: 4 }, () => {
  const ODD = [
    '{"model":"m","messages":[],"tools":[{"type":"custom","name":"apply_patch","format":{"type":"grammar"}}],"tool_choice":{"type":"custom"},"made_up":{"a":[1,null,1e400]}}',
    ' {\n\t"model" : "m" , "n":1.0,"big":123456789012345678901234567890,"é":"\\u00e9\\ud83d\\ude42" }\r\n',
    '{"model":"x","temperature":0,"model":"m","temperature":0.5}',
    '{"\\u006dodel":"m","messages":[]}',
    '{"mod\\u0065l":"m","stream":false,"str\\u0065am":false}',
    '{"model":"m","bootstrap_room":9223372036854775807,"nan":NaN}',
  ]
  for (const [i, body] of ODD.entries()) {
    it(`each byte of its body (${i})`, async (t) => {
      const { made, worker } = await single(t, (call) => call.answer(200, '{}'))
      const got = await send(made.url, { body })
      // NaN is no JSON, but Python's engines take it; a refusal of ours is honest, a changed byte is not.
      if (i === 5 && got.status === 400) return assert.equal(codeOf(got), 'invalid_json')
      assert.equal(got.status, 200, got.text)
      assert.equal(worker.calls[0]?.text, body)
    })
  }

  it('the path and query of something unknown', async (t) => {
    const path = '/v1/foo/b%2Fr/../x//y?a=1&a=2&empty=&u=%C3%BC+%20#'
    const call = await passed(t, { path, body: '{"any":["thing"]}' })
    assert.equal(call.path, path.replace('#', '%23').replace('%23', '#'))
    assert.equal(call.text, '{"any":["thing"]}')
  })

  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD']) {
    it(`its method: ${method} under /v1`, async (t) => {
      const call = await passed(t, { path: '/v1/foo?x=1', method, body: '{}' })
      assert.equal(call.method, method)
      assert.equal(call.path, '/v1/foo?x=1')
    })
  }

  it('a body that is not JSON on an unknown path', async (t) => {
    const bytes = Buffer.from([0, 1, 2, 255, 254, 10])
    const call = await passed(t, {
      path: '/v1/foo',
      body: bytes,
      headers: { 'content-type': 'application/octet-stream' },
    })
    assert.deepEqual(call.body, bytes)
    assert.equal(call.header('content-type'), 'application/octet-stream')
  })

  it('its headers, strange ones too', async (t) => {
    const headers = {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=1,b=2',
      baggage: 'k=v',
      'X-Weird': '  "q\\"; a,b=;;  ',
      'x-latin': 'caf\u00e9',
      'x-empty': '',
      'anthropic-version': '2023-06-01',
      'OpenAI-Organization': 'org',
      'user-agent': 'me/1',
      'content-type': 'application/json; charset=utf-8',
    }
    const call = await passed(t, { headers })
    for (const [name, value] of Object.entries(headers))
      assert.equal(call.header(name.toLowerCase()), value.trim(), name)
  })

  it('none of the headers of its connection', async (t) => {
    const call = await passed(t, {
      headers: {
        connection: 'keep-alive, X-Hop',
        'x-hop': '1',
        te: 'trailers',
        'proxy-authorization': 'Basic eA==',
        'keep-alive': 'timeout=5',
        'accept-encoding': 'gzip, br',
        expect: '100-continue',
      },
    })
    for (const name of ['x-hop', 'te', 'proxy-authorization', 'keep-alive', 'expect'])
      assert.equal(call.header(name), undefined, name)
    assert.equal(call.header('accept-encoding'), 'identity')
    assert.match(call.header('host') ?? '', /^127\.0\.0\.1:\d+$/)
  })
})

describe('an edit touches nothing but its place', () => {
  it('an alias: the value of the model', async (t) => {
    const body =
      '{ "messages":[{"role":"user","content":"\\"model\\":\\"gpt\\""}], "model" : "gpt" ,"x":{"model":"gpt"},"n":1.0}'
    const call = await passed(t, { body }, { aliases: { gpt: 'm' } })
    assert.equal(call.text, body.replace('"model" : "gpt"', '"model" : "m"'))
  })

  it('an alias with the key twice or escaped: what the engine counts', async (t) => {
    const { made, worker } = await single(t, (call) => call.answer(200, '{}'), { aliases: { gpt: 'm' } })
    await send(made.url, { body: '{"model":"zzz","a":1,"model":"gpt"}' })
    await send(made.url, { body: '{"\\u006dodel":"gpt","a":1}' })
    assert.equal(worker.calls.length, 2)
    for (const call of worker.calls) assert.equal(call.json()['model'], 'm', call.text)
  })

  const USAGE =
    'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
  const counting: Behaviour = (call) => {
    call.begin().write(delta('a')).write(delta('b')).write(LAST)
    if (/"include_usage"\s*:\s*true/.test(call.text)) call.write(USAGE)
    call.write(DONE).end()
  }
  const PLAIN = delta('a') + delta('b') + LAST

  it('usage: asked for where the client did not, and taken out again', async (t) => {
    const { made, worker } = await single(t, counting)
    const got = await send(made.url, { body: STREAM })
    assert.equal(got.text, PLAIN + DONE)
    const { stream_options, ...rest } = worker.calls[0]?.json() ?? {}
    assert.deepEqual(stream_options, { include_usage: true })
    assert.deepEqual(rest, JSON.parse(STREAM))
    assert.equal(await made.metric('fetchway_tokens_total', 'kind="completion"'), 2)
    assert.equal(await made.metric('fetchway_tokens_total', 'kind="prompt"'), 5)
  })

  it('usage: left in where the client asked for it', async (t) => {
    const { made, worker } = await single(t, counting)
    const body = chat({ stream: true, stream_options: { include_usage: true } })
    assert.equal((await send(made.url, { body })).text, PLAIN + USAGE + DONE)
    assert.equal(worker.calls[0]?.text, body)
  })

  it('usage: other stream options stay', async (t) => {
    const { made, worker } = await single(t, counting)
    const body = chat({ stream: true, stream_options: { include_usage: false, continuous: 1 } })
    assert.equal((await send(made.url, { body })).text, PLAIN + DONE)
    assert.deepEqual(worker.calls[0]?.json()['stream_options'], { include_usage: true, continuous: 1 })
  })

  it('usage off: not a byte', async (t) => {
    const { made, worker } = await single(t, counting, { usage: 'off' })
    await send(made.url, { body: STREAM })
    assert.equal(worker.calls[0]?.text, STREAM)
  })

  it('usage: a stream that was left is booked as an estimate', async (t) => {
    const { made } = await single(t, (call) => void call.begin().write(delta('a')).write(delta('b')))
    const { open } = await import('./_router.ts')
    const client = await open(made.url, { body: STREAM }).sees('"b"')
    client.leave()
    await made.rests()
    assert.equal(await made.metric('fetchway_tokens_total', 'kind="completion",estimated="true"'), 2)
  })

  it('a whole answer passes with its usage counted', async (t) => {
    const { made } = await single(t)
    assert.equal((await send(made.url, { path: CHAT })).text, ANSWER)
    assert.equal(await made.metric('fetchway_tokens_total', 'kind="prompt"'), 3)
  })
})
