// `npm run test:real`: journeys against two real vLLM servers on the CPU. What simulated engines play is held against the truth here.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createHost } from '../../adapters/node/host.ts'
import { serve } from '../../adapters/node/http.ts'
import { createApp } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { eventsOf, saidIn, type Json } from '../journeys/_rig.ts'
import { BLOCK, MODEL, startEngines, type RealEngine } from './engines.ts'

const CHAT = '/v1/chat/completions'
const WORDS = 'the router sends a token to the worker and the engine reads the cache of the city '

let engines: readonly RealEngine[] = []
before(async () => {
  engines = await startEngines(2)
})
after(() => Promise.all(engines.map((engine) => engine.stop())))

interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: Json
}

interface Router {
  readonly url: string
  ask(path: string, body?: unknown): Promise<Reply>
  workers(): Promise<Json[]>
}

const closers: (() => Promise<void>)[] = []
after(() => Promise.all(closers.map((close) => close())))

/** A router in front of the engines, whose workers are known. */
async function router(input: ConfigInput): Promise<Router> {
  const config = configSchema.parse({ state: 'off', logLevel: 'warn', ...input })
  const host = createHost(config, () => undefined)
  const app = createApp(config, host)
  await app.start()
  const served = await serve((request) => app.fetch(request))
  closers.push(async () => {
    await served.close(0)
    await app.close()
    host.close()
  })
  const ask = async (path: string, body?: unknown): Promise<Reply> => {
    const headers = { 'content-type': 'application/json' }
    const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await fetch(served.url + path, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: parse(text) }
  }
  const workers = async () => (await ask('/fetchway/v1/workers')).body.data as Json[]
  await until(async () => (await workers()).every(({ known }) => known), 'workers that are known')
  return { url: served.url, ask, workers }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // a stream, or metrics
  }
}

async function until(isSo: () => Promise<boolean>, what: string, ms = 15_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await isSo())) {
    if (performance.now() > end) assert.fail(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const chat = (content: string, more: object = {}) => ({
  model: MODEL,
  messages: [{ role: 'user', content }],
  max_tokens: 8,
  temperature: 0,
  ...more,
})

const both = () => engines.map(({ url }) => url)
const mixed = () =>
  engines.map(({ url, events, replay }) => ({ url, kvEvents: events, kvEventsReplay: replay }))
const said = ({ body }: Reply): string => body.choices[0].message.content

describe('two real engines', () => {
  it('are found to be vLLM, with their version, model and cache', async () => {
    const { workers } = await router({ workers: both() })
    for (const { engine, version, models, kv_capacity_tokens: capacity, problem } of await workers()) {
      assert.deepEqual([engine, models, problem], ['vllm', [MODEL], null])
      assert.match(version, /^\d+\.\d+/)
      assert.ok(capacity > 0 && capacity % BLOCK === 0, `${capacity}`)
    }
  })

  it('answer a chat through the router as they do without it, whole and streamed', async () => {
    const { ask } = await router({ workers: both() })
    const call = chat(`${WORDS} once`)
    const direct = await fetch(engines[0]!.url + CHAT, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(call),
    })
    const alone = (await direct.json()) as Json
    const whole = await ask(CHAT, call)
    assert.equal(whole.status, 200, whole.text)
    assert.equal(said(whole), alone.choices[0].message.content)
    assert.deepEqual(Object.keys(whole.body).sort(), Object.keys(alone).sort())
    const streamed = await ask(CHAT, { ...call, stream: true })
    assert.equal(saidIn(streamed.text), said(whole))
    assert.ok(streamed.text.trimEnd().endsWith('data: [DONE]'))
    // The router asked for the usage itself, and nobody else sees it.
    assert.ok(eventsOf(streamed.text).every(({ usage }) => usage === undefined || usage === null))
    const counted = await ask(CHAT, { ...call, stream: true, stream_options: { include_usage: true } })
    assert.equal(eventsOf(counted.text).at(-1).usage.completion_tokens, whole.body.usage.completion_tokens)
  })

  it('are both used, and stop at once when a client leaves its stream', async () => {
    const { url, ask, workers } = await router({ workers: both(), policy: 'round_robin' })
    for (let i = 0; i < 4; i++) assert.equal((await ask(CHAT, chat(`${i} ${WORDS}`))).status, 200)
    assert.ok((await workers()).every(({ served }) => served === 2))
    const leave = new AbortController()
    const response = await fetch(url + CHAT, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(chat(WORDS, { stream: true, max_tokens: 1900, ignore_eos: true })),
      signal: leave.signal,
    })
    await response.body!.getReader().read()
    assert.equal(await sum((engine) => engine.metric('vllm:num_requests_running')), 1)
    leave.abort()
    await until(
      async () => (await sum((engine) => engine.metric('vllm:num_requests_running'))) === 0,
      'rest',
      5000,
    )
  })

  it('tell errors in their own words', async () => {
    const { ask } = await router({ workers: both() })
    const long = await ask(CHAT, chat(WORDS.repeat(300)))
    assert.deepEqual([long.status, long.body.error.type], [400, 'BadRequestError'], long.text)
    const broken = await ask(CHAT, chat('x', { temperature: 'hot' }))
    assert.equal(broken.status, 400, broken.text)
    const unknown = await ask(CHAT, { ...chat('x'), model: 'nope' })
    assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'model_not_found'])
  })

  it('count tokens', async () => {
    const { ask } = await router({ workers: both() })
    const { body } = await ask('/tokenize', { model: MODEL, prompt: WORDS })
    assert.ok(body.count > 5 && body.tokens.length === body.count)
    assert.equal((await ask('/detokenize', { model: MODEL, tokens: body.tokens })).body.prompt, WORDS)
  })

  it('tell their load, which /metrics tells on', async () => {
    const { ask, workers } = await router({ workers: both(), loadAlways: true, loadInterval: '200ms' })
    await until(async () => (await workers()).every(({ load }) => load?.kv_usage !== undefined), 'loads')
    const { text } = await ask('/metrics')
    for (const name of ['fetchway_worker_kv_usage_ratio', 'fetchway_worker_engine_running'])
      assert.equal(text.split('\n').filter((line) => line.startsWith(`${name}{`)).length, 2, name)
  })

  it('publish their KV events, by which what is cached is known to the block', async () => {
    const { ask, workers } = await router({ workers: mixed(), policy: 'least_cost' })
    const live = async () => (await workers()).every(({ kv_events: kv }) => kv?.state === 'live')
    await until(live, 'KV events that are followed')
    let hits = 0
    for (let i = 0; i < 12; i++) {
      const stem = `stem ${i % 3} ${process.pid} ${WORDS.repeat(8)}`
      const reply = await ask('/v1/completions', {
        model: MODEL,
        prompt: `${stem} and ${i}`,
        max_tokens: 2,
        temperature: 0,
      })
      assert.equal(reply.status, 200, reply.text)
      const cached = reply.body.usage.prompt_tokens_details?.cached_tokens ?? 0
      const id = reply.headers.get('x-fetchway-decision')
      const decision = (await ask(`/fetchway/v1/decisions/${id}`)).body
      // Shares: the router counts tokens by its own guess of their length.
      const predicted = decision.predicted_cached_tokens / decision.prompt.tokens
      const truth = cached / reply.body.usage.prompt_tokens
      const block = BLOCK / reply.body.usage.prompt_tokens
      assert.ok(Math.abs(predicted - truth) <= block, `call ${i}: ${predicted}, not ${truth}`)
      if (cached > 0) hits++
      await until(async () => (await workers()).every(({ in_flight: calls }) => calls === 0), 'rest')
      // The events of this call.
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    assert.ok(hits >= 8, `${hits} of 12 calls hit a cache`)
  })
})

describe('a real prefill and a real decode engine (NIXL over UCX/TCP)', () => {
  const pair = () => {
    const [prefill, decode] = both()
    return router({ prefill: [prefill!], decode: [decode!], pdProtocol: 'nixl' })
  }

  it('answer as one engine does, whole and streamed, and the KV is moved', async () => {
    const { ask } = await pair()
    const alone = await router({ workers: [both()[0]!] })
    const moved = () => engines[1]!.metric('vllm:external_prefix_cache_hits_total')
    const before = await moved()
    for (let i = 0; i < 2; i++) {
      const call = chat(`pair ${i} ${process.pid} ${WORDS.repeat(6)}`)
      const reply = await ask(CHAT, call)
      assert.equal(reply.status, 200, reply.text)
      assert.notEqual(reply.headers.get('x-fetchway-prefill'), null)
      const streamed = await ask(CHAT, { ...call, stream: true })
      assert.equal(saidIn(streamed.text), said(reply))
      assert.equal(said(await alone.ask(CHAT, call)), said(reply))
    }
    assert.ok((await moved()) > before, 'the decode engine took no KV')
  })

  it('answer several at once, each its own prompt', async () => {
    const { ask } = await pair()
    const alone = await router({ workers: [both()[0]!] })
    const calls = Array.from({ length: 4 }, (_, i) => chat(`many ${i} ${process.pid} ${WORDS.repeat(4)}`))
    const replies = await Promise.all(calls.map((call) => ask(CHAT, call)))
    for (const [i, reply] of replies.entries()) {
      assert.equal(reply.status, 200, reply.text)
      assert.equal(said(reply), said(await alone.ask(CHAT, calls[i])))
    }
  })

  it('end both when the client leaves', async () => {
    const { url } = await pair()
    const leave = new AbortController()
    const response = await fetch(url + CHAT, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(chat(WORDS.repeat(4), { stream: true, max_tokens: 1500, ignore_eos: true })),
      signal: leave.signal,
    })
    await response.body!.getReader().read()
    leave.abort()
    await until(
      async () => (await sum((engine) => engine.metric('vllm:num_requests_running'))) === 0,
      'rest',
      5000,
    )
  })
})

async function sum(count: (engine: RealEngine) => Promise<number>): Promise<number> {
  const counts = await Promise.all(engines.map(count))
  return counts.reduce((total, one) => total + one, 0)
}
