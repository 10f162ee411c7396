// Keys: of clients, of the control plane, of workers. They never cross, and nothing that must stay private is logged.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engine, error, ok } from './_engine.ts'
import { chat, codeOf, eventually, router, send, STREAM } from './_router.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

describe('a key of a client', () => {
  it('is needed when keys are configured, in one of two headers', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], apiKeys: ['sk-1', 'sk-2'] })
    for (const headers of [
      bearer('sk-1'),
      bearer('sk-2'),
      { authorization: 'bearer sk-1' },
      { 'x-api-key': 'sk-2' },
    ])
      assert.equal((await send(made.url, { headers })).status, 200)
    for (const headers of [
      {},
      bearer('sk-3'),
      bearer('sk-'),
      bearer('sk-11'),
      bearer(''),
      { authorization: 'Basic c2s=' },
      { 'x-api-key': 'x' },
    ])
      assert.equal((await send(made.url, { headers })).status, 401, JSON.stringify(headers))
    assert.equal(worker.calls.length, 4)
  })

  it('is asked for on every path of the data plane but the health ones', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], apiKeys: ['sk-1'] })
    for (const path of ['/v1/models', '/v1/models/m', '/v1/foo', '/v1/responses/resp_1', '/v1/files'])
      assert.equal((await send(made.url, { path, method: 'GET' })).status, 401, path)
    for (const path of ['/v1/embeddings', '/tokenize', '/v1/messages', '/v1/files', '/rerank'])
      assert.equal((await send(made.url, { path })).status, 401, path)
    for (const path of ['/health', '/livez', '/readyz', '/version'])
      assert.equal((await send(made.url, { path, method: 'GET' })).status, 200, path)
    assert.equal(worker.calls.length, 0)
  })

  it('that is wrong is told in the shape of the API', async (t) => {
    const made = await router(t, { apiKeys: ['sk-1'] })
    const openai = await send(made.url)
    assert.equal(openai.headers['www-authenticate'], 'Bearer')
    const { error: told } = JSON.parse(openai.text) as { error: Record<string, unknown> }
    assert.equal(told['type'], 'authentication_error')
    assert.equal(told['code'], 'missing_api_key')
    assert.equal(told['retryable'], false)
    const anthropic = JSON.parse(
      (await send(made.url, { path: '/v1/messages', headers: { 'x-api-key': 'no' } })).text,
    ) as {
      type: string
      error: Record<string, unknown>
    }
    assert.equal(anthropic.type, 'error')
    assert.equal(anthropic.error['type'], 'authentication_error')
    assert.equal(anthropic.error['code'], 'invalid_api_key')
  })

  it('is checked before the body is read', async (t) => {
    const made = await router(t, { apiKeys: ['sk-1'], maxBuffered: '10' })
    assert.equal((await send(made.url)).status, 401)
  })

  it('that the router checks goes to no worker', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url], apiKeys: ['sk-1'] })
    await send(made.url, { headers: { ...bearer('sk-1'), 'x-api-key': 'sk-1' } })
    assert.ok(!worker.calls[0]?.head.includes('sk-1'))
  })

  it('passes when neither router nor worker has one', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url] })
    await send(made.url, { headers: bearer('mine') })
    assert.equal(worker.calls[0]?.header('authorization'), 'Bearer mine')
  })

  it('has limits of its own', async (t) => {
    const worker = await engine(t)
    const made = await router(t, {
      workers: [worker.url],
      apiKeys: [{ key: 'a', requestsPerMinute: 2 }, 'b'],
    })
    const statuses = []
    for (let i = 0; i < 4; i++) statuses.push((await send(made.url, { headers: bearer('a') })).status)
    assert.deepEqual(statuses, [200, 200, 429, 429])
    const refused = await send(made.url, { headers: bearer('a') })
    assert.equal(codeOf(refused), 'rate_limited')
    assert.ok(Number(refused.headers['retry-after']) >= 1)
    assert.equal((await send(made.url, { headers: bearer('b') })).status, 200)
  })
})

describe('a key of a worker', () => {
  it('is sent with calls, probes and questions, and the key of the client is not', async (t) => {
    const worker = await engine(t, ok, { apiKey: 'worker-key' })
    const made = await router(t, {
      workers: [{ url: worker.url, apiKey: 'worker-key' }],
      healthInterval: '20ms',
    })
    const got = await send(made.url, { headers: { ...bearer('client-key'), 'x-api-key': 'client-key' } })
    assert.equal(got.status, 200)
    assert.equal(worker.calls[0]?.header('authorization'), 'Bearer worker-key')
    assert.ok(!worker.calls[0]?.head.includes('client-key'))
    const asked = () => new Set(worker.questions.map((call) => call.path))
    await eventually(() => asked().has('/health') && asked().has('/v1/models'))
    for (const call of worker.questions)
      assert.equal(call.header('authorization'), 'Bearer worker-key', call.path)
    assert.equal((await made.workers())[0]?.state, 'up')
  })

  it('may be one for all, and headers of its own', async (t) => {
    const worker = await engine(t, ok, { apiKey: 'shared' })
    const made = await router(t, {
      workers: [{ url: worker.url, headers: { 'CF-Access-Client-Id': 'x1' } }],
      workerApiKey: 'shared',
    })
    assert.equal((await send(made.url, { headers: { 'cf-access-client-id': 'forged' } })).status, 200)
    assert.equal(worker.calls[0]?.header('cf-access-client-id'), 'x1')
    for (const call of worker.questions) assert.equal(call.header('cf-access-client-id'), 'x1')
  })

  it('is shown nowhere', async (t) => {
    const worker = await engine(t, error(401), { apiKey: 'worker-key' })
    const made = await router(t, {
      workers: [{ url: worker.url, apiKey: 'worker-key', headers: { 'x-secret': 'hush' } }],
      apiKeys: ['client-key'],
      workerApiKey: 'shared-key',
    })
    for (const path of [
      '/fetchway/v1/workers',
      '/fetchway/v1/status',
      '/fetchway/v1/config',
      '/metrics',
      '/v1/models',
    ]) {
      const { text, status } = await send(made.url, { path, method: 'GET', headers: bearer('client-key') })
      assert.equal(status, 200, path)
      for (const secret of ['worker-key', 'hush', 'client-key', 'shared-key'])
        assert.ok(!text.includes(secret), path)
    }
  })
})

describe('the control plane', () => {
  const PATHS = ['/fetchway/v1/workers', '/fetchway/v1/status', '/fetchway/v1/config', '/workers']

  it('is open on loopback without a key', async (t) => {
    const made = await router(t)
    for (const path of PATHS) assert.equal((await send(made.url, { path, method: 'GET' })).status, 200)
  })

  it('is closed on other addresses without a key', async (t) => {
    for (const host of ['0.0.0.0', '::', '10.0.0.5', 'gpu.example']) {
      const made = await router(t, { host })
      for (const path of PATHS) {
        const got = await send(made.url, { path, method: 'GET' })
        assert.equal(got.status, 403, `${host} ${path}`)
        assert.equal(codeOf(got), 'admin_closed')
      }
      for (const [method, path] of [
        ['POST', '/fetchway/v1/workers'],
        ['POST', '/workers'],
        ['DELETE', '/workers/w-1'],
        ['PATCH', '/workers/w-1'],
        ['POST', '/workers/w-1/drain'],
      ] as const)
        assert.equal(
          (await send(made.url, { path, method, body: '{"url":"http://127.0.0.1:1"}' })).status,
          403,
          path,
        )
    }
  })

  it('needs its key, and no other one opens it', async (t) => {
    const made = await router(t, { adminKey: 'admin', apiKeys: ['sk-1'], host: '0.0.0.0' })
    for (const path of PATHS) {
      for (const headers of [{}, bearer('sk-1'), bearer('admi'), bearer('admin2')])
        assert.equal((await send(made.url, { path, method: 'GET', headers })).status, 401)
      assert.equal((await send(made.url, { path, method: 'GET', headers: bearer('admin') })).status, 200)
    }
    assert.equal(
      (await send(made.url, { headers: bearer('admin') })).status,
      401,
      'and is no key of a client',
    )
  })

  it('with a listener of its own is not on the other one', async (t) => {
    const made = await router(t, { adminListen: '127.0.0.1:0' })
    for (const path of PATHS) {
      assert.equal((await send(made.url, { path, method: 'GET' })).status, 404, path)
      assert.equal((await send(made.adminUrl, { path, method: 'GET' })).status, 200, path)
    }
    assert.equal((await send(made.adminUrl)).status, 404, 'and that one serves no calls')
  })
})

describe('the log at debug level', () => {
  it('holds no prompt, no answer and no key', async (t) => {
    const secrets = [
      'SECRET-PROMPT',
      'SECRET-ANSWER',
      'SECRET-CLIENT',
      'SECRET-WORKER',
      'SECRET-HEADER',
      'SECRET-QUERY',
    ]
    let n = 0
    const worker = await engine(
      t,
      (call) => {
        const turn = n++ % 4
        if (turn === 0) return call.answer(200, '{"x":"SECRET-ANSWER"}')
        if (turn === 1) return call.answer(400, '{"error":"SECRET-ANSWER SECRET-PROMPT"}')
        if (turn === 2) return call.die()
        return call.begin().write('data: {"choices":[{"delta":{"content":"SECRET-ANSWER"}}]}\n\n').end()
      },
      { apiKey: 'SECRET-WORKER' },
    )
    const made = await router(t, {
      workers: [{ url: worker.url, apiKey: 'SECRET-WORKER' }],
      apiKeys: ['SECRET-CLIENT'],
      retries: 0,
      breakerFailures: 2,
      healthInterval: '15ms',
    })
    const bodies = [
      chat({ user: 'SECRET-PROMPT' }),
      STREAM.replace('hi', 'SECRET-PROMPT'),
      '{"SECRET-PROMPT',
      '{"model":"SECRET-PROMPT"}',
      '{"model":["SECRET-PROMPT"]}',
    ]
    for (let i = 0; i < 4; i++)
      for (const body of bodies)
        await send(made.url, {
          path: `/v1/chat/completions?q=SECRET-QUERY`,
          body,
          headers: { ...bearer('SECRET-CLIENT'), 'x-custom': 'SECRET-HEADER' },
        })
    await send(made.url, { headers: bearer('SECRET-CLIENT-wrong') })
    await worker.stop()
    await send(made.url, { headers: bearer('SECRET-CLIENT') })
    assert.ok(made.logs.some((line) => /warn/i.test(line)))
    const text = made.logs.join('')
    assert.match(text, /warn/i)
    for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} in ${text}`)
  })
})
