// Several models behind one URL: aliases, adapters, mixed engines, sessions, and state that lives on one worker.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { engine, ok, silent, type Behaviour, type ScriptedEngine } from './_engine.ts'
import { chat, codeOf, open, router, send, type Router } from './_router.ts'

const get = (made: Router, path: string) => send(made.url, { path, method: 'GET' })
const idsOf = (text: string): string[] =>
  (JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id)

describe('models', () => {
  it('of all workers are behind one URL, each call at its own', async (t) => {
    const workers = await Promise.all([
      engine(t, ok, { models: ['llama', 'llama-lora'], owner: 'vllm' }),
      engine(t, ok, { models: ['qwen'], owner: 'sglang' }),
      engine(t, ok, { models: ['org/phi'], owner: 'lmdeploy' }),
    ])
    const made = await router(t, {
      workers: workers.map((worker) => worker.url),
      aliases: { 'gpt-4o': 'llama', gone: 'nowhere' },
    })
    assert.deepEqual(idsOf((await get(made, '/v1/models')).text).toSorted(), [
      'gpt-4o',
      'llama',
      'llama-lora',
      'org/phi',
      'qwen',
    ])
    for (const [model, at] of [
      ['llama', 0],
      ['llama-lora', 0],
      ['gpt-4o', 0],
      ['qwen', 1],
      ['org/phi', 2],
    ] as const) {
      const before = workers[at]?.calls.length ?? 0
      assert.equal((await send(made.url, { body: chat({ model }) })).status, 200, model)
      assert.equal(workers[at]?.calls.length, before + 1, model)
    }
    assert.equal(workers[0]?.calls.at(-1)?.json()['model'], 'llama')
    const lora = JSON.parse((await get(made, '/v1/models/llama-lora')).text) as {
      parent: string
      owned_by: string
    }
    assert.equal(lora.parent, 'llama')
    assert.equal((await get(made, '/v1/models/org/phi')).status, 200)
    assert.equal((await get(made, '/v1/models/org%2Fphi')).status, 200)
    assert.equal((await get(made, '/v1/models/nope')).status, 404)
  })

  it('survive dead workers, those that never were there, and those that answer nonsense', async (t) => {
    const good = await engine(t, ok, { models: ['good'] })
    const dying = await engine(t, ok, { models: ['dying'] })
    const odd = await engine(t, ok, { probe: (call) => (call.answer(200, '<html>hello'), true) })
    const never = await engine(t)
    await never.stop()
    const made = await router(t, { workers: [good.url, dying.url, odd.url, never.url] })
    assert.equal((await get(made, '/v1/models/dying')).status, 200)
    await dying.stop()
    const got = await get(made, '/v1/models')
    assert.equal(got.status, 200)
    assert.ok(idsOf(got.text).includes('good') && got.lived < 500)
    assert.equal((await send(made.url, { body: chat({ model: 'good' }) })).status, 200)
  })

  it('that only a dead worker has are refused with 502 or 503, never 404', async (t) => {
    const worker = await engine(t, ok, { models: ['m'] })
    const made = await router(t, { workers: [worker.url], healthInterval: '15ms', healthFailures: 1 })
    await worker.stop()
    while ((await made.workers())[0]?.state !== 'down');
    const got = await send(made.url)
    assert.equal(got.status, 503)
    assert.equal(codeOf(got), 'no_workers')
    assert.ok(Number(got.headers['retry-after']) >= 1)
    await worker.start()
    while ((await made.workers())[0]?.state !== 'up') await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal((await send(made.url)).status, 200)
  })

  it('of an endpoint that one engine lacks go to one that has it', async (t) => {
    const workers = await Promise.all([engine(t, ok, { owner: 'vllm' }), engine(t, ok, { owner: 'sglang' })])
    const made = await router(t, { workers: workers.map((worker) => worker.url), policy: 'round_robin' })
    for (let i = 0; i < 4; i++)
      assert.equal((await send(made.url, { path: '/generate', body: '{"text":"a"}' })).status, 200)
    assert.equal(workers[1]?.calls.length, 4)
  })

  it('are asked for with HEAD like with GET', async (t) => {
    const worker = await engine(t)
    const made = await router(t, { workers: [worker.url] })
    for (const path of ['/health', '/livez', '/readyz', '/v1/models']) {
      const got = await send(made.url, { path, method: 'HEAD' })
      assert.equal(got.status, 200, path)
      assert.equal(got.text, '')
    }
    assert.equal(worker.calls.length, 0)
  })
})

describe('a session', () => {
  it('stays on its worker with consistent_hash, by header, field or user', async (t) => {
    const workers = await Promise.all([engine(t), engine(t), engine(t)])
    const made = await router(t, { workers: workers.map((worker) => worker.url), policy: 'consistent_hash' })
    const homes = new Map<string, Set<string>>()
    for (let turn = 0; turn < 4; turn++) {
      for (let i = 0; i < 12; i++) {
        const session = `s${i}`
        const sent = [
          { headers: { 'x-session-id': session } },
          { body: chat({ session_id: session }) },
          { body: chat({ user: session }) },
        ][turn % 3] as object
        const got = await send(made.url, sent)
        const home = homes.get(session) ?? new Set()
        homes.set(session, home.add(got.headers['x-fetchway-worker'] as string))
      }
    }
    for (const home of homes.values()) assert.equal(home.size, 1)
    assert.ok(new Set([...homes.values()].flatMap((home) => [...home])).size > 1, 'not all on one worker')
  })

  it('moves when its worker dies, and the others stay', async (t) => {
    const workers = await Promise.all([engine(t), engine(t), engine(t)])
    const made = await router(t, { workers: workers.map((worker) => worker.url), policy: 'consistent_hash' })
    const homeOf = async (i: number) =>
      (await send(made.url, { headers: { 'x-session-id': `s${i}` } })).headers['x-fetchway-worker']
    const before = []
    for (let i = 0; i < 20; i++) before.push(await homeOf(i))
    await workers[0]?.stop()
    const dead = (await made.workers())[0]?.id
    for (let i = 0; i < 20; i++) {
      const home = await homeOf(i)
      if (before[i] === dead) assert.notEqual(home, dead)
      else assert.equal(home, before[i])
    }
  })

  it('without a key is spread over the workers', async (t) => {
    for (const policy of ['consistent_hash', 'least_load', 'power_of_two', 'round_robin']) {
      const workers = await Promise.all([engine(t, silent), engine(t, silent)])
      const made = await router(t, { workers: workers.map((worker) => worker.url), policy })
      const clients = Array.from({ length: 60 }, () => open(made.url))
      while (workers[0]!.calls.length + workers[1]!.calls.length < 60)
        await new Promise((resolve) => setTimeout(resolve, 2))
      for (const worker of workers)
        assert.ok(worker.calls.length <= 36, `${policy}: ${worker.calls.length} of 60`)
      for (const client of clients) client.leave()
      await made.rests()
    }
  })
})

describe('stored state', () => {
  /** Keeps responses as an engine does; others are unknown to it. */
  function keeper(name: string): Behaviour {
    const kept = new Set<string>()
    let n = 0
    return (call) => {
      const id = /^\/v1\/(?:responses|conversations)\/([^/?]+)/.exec(call.path)?.[1]
      if (id !== undefined) {
        if (!kept.has(id)) return call.answer(404, '{"error":{"message":"not here"}}')
        return call.answer(200, JSON.stringify({ id, method: call.method, path: call.path, by: name }))
      }
      const previous = call.json()['previous_response_id'] ?? call.json()['conversation']
      if (typeof previous === 'string' && !kept.has(previous))
        return call.answer(404, '{"error":{"message":"lost"}}')
      const made = `${call.path === '/v1/conversations' ? 'conv' : 'resp'}_${name}${++n}`
      kept.add(made)
      if (call.json()['stream'] !== true)
        return call.answer(200, JSON.stringify({ id: made, object: 'response' }))
      call
        .begin()
        .write(`event: response.created\ndata: {"type":"response.created","response":{"id":"${made}"}}\n\n`)
        .write(
          'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
        )
        .write(
          `event: response.completed\ndata: {"type":"response.completed","response":{"id":"${made}"}}\n\n`,
        )
        .end()
    }
  }

  async function keepers(
    t: TestContext,
  ): Promise<{ made: Router; workers: ScriptedEngine[]; urls: string[] }> {
    const workers = await Promise.all(['a', 'b', 'c'].map((name) => engine(t, keeper(name))))
    const urls = workers.map((worker) => worker.url)
    return { workers, urls, made: await router(t, { workers: urls, policy: 'round_robin' }) }
  }
  const path = '/v1/responses'
  const body = (more: object = {}) => JSON.stringify({ model: 'm', input: 'x', ...more })

  for (const stream of [false, true]) {
    it(`is found where it was made (${stream ? 'stream' : 'whole'})`, async (t) => {
      const { made } = await keepers(t)
      for (let i = 0; i < 5; i++) {
        const first = await send(made.url, { path, body: body({ stream }) })
        const id = /"id":"(resp_\w+)"/.exec(first.text)?.[1]
        const next = await send(made.url, { path, body: body({ previous_response_id: id }) })
        assert.equal(next.status, 200, next.text)
        assert.equal(next.headers['x-fetchway-worker'], first.headers['x-fetchway-worker'])
        for (const [method, rest] of [
          ['GET', ''],
          ['GET', '/input_items?limit=2'],
          ['POST', '/cancel'],
          ['DELETE', ''],
        ] as const) {
          const got = await send(made.url, { path: `${path}/${id}${rest}`, method, body: '' })
          assert.equal(got.status, 200, `${method} ${rest}`)
          assert.equal((JSON.parse(got.text) as { path: string }).path, `${path}/${id}${rest}`)
        }
      }
    })
  }

  it('is found by asking the workers after a restart', async (t) => {
    const { made, urls } = await keepers(t)
    const ids: string[] = []
    for (let i = 0; i < 3; i++)
      ids.push((JSON.parse((await send(made.url, { path, body: body() })).text) as { id: string }).id)
    const after = await router(t, { workers: urls, policy: 'round_robin' })
    for (const id of ids) {
      assert.equal((await get(after, `${path}/${id}`)).status, 200)
      assert.equal((await send(after.url, { path, body: body({ previous_response_id: id }) })).status, 200)
    }
  })

  it('that nobody has is 404', async (t) => {
    const { made } = await keepers(t)
    const got = await get(made, `${path}/resp_nope`)
    assert.equal(got.status, 404)
    const next = await send(made.url, { path, body: body({ previous_response_id: 'resp_nope' }) })
    assert.equal(next.status, 404)
    await made.rests()
  })

  it('of a conversation holds its responses', async (t) => {
    const { made } = await keepers(t)
    const first = await send(made.url, { path: '/v1/conversations', body: '{}' })
    const { id } = JSON.parse(first.text) as { id: string }
    for (let i = 0; i < 4; i++) {
      const got = await send(made.url, { path, body: body({ conversation: id }) })
      assert.equal(got.status, 200)
      assert.equal(got.headers['x-fetchway-worker'], first.headers['x-fetchway-worker'])
    }
  })

  it('is reached on a worker that drains', async (t) => {
    const { made } = await keepers(t)
    const first = await send(made.url, { path, body: body() })
    const { id } = JSON.parse(first.text) as { id: string }
    await send(made.url, {
      path: `/fetchway/v1/workers/${String(first.headers['x-fetchway-worker'])}/drain`,
      body: '',
    })
    assert.equal((await send(made.url, { path, body: body({ previous_response_id: id }) })).status, 200)
  })
})
