// Every shape of call that is handed over answers, counts and streams as one engine would; a second time with a warm cache.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Engine } from '../../src/simulator/engine.ts'
import { D1, MODES, openPairs, P1 } from '../journeys/_pairs.ts'
import { engine, eventsOf, Rig, type Json, type Opened } from '../journeys/_rig.ts'
import { open } from '../journeys/_web.ts'

const TEXT = 'Tell me of rivers and of seas. '.repeat(30)
const messages = [{ role: 'user', content: TEXT }]
const usage = { stream: true, stream_options: { include_usage: true } }

const CALLS: Readonly<Record<string, [engines: readonly string[], path: string, body: object]>> = {
  'a chat': [['vllm', 'sglang', 'lmdeploy'], '/v1/chat/completions', { messages }],
  'a chat, streamed': [['vllm', 'sglang', 'lmdeploy'], '/v1/chat/completions', { messages, ...usage }],
  'a chat with two choices': [['sglang'], '/v1/chat/completions', { messages, n: 2 }],
  'a completion': [['vllm', 'sglang', 'lmdeploy'], '/v1/completions', { prompt: TEXT }],
  'a completion, streamed': [['vllm', 'sglang', 'lmdeploy'], '/v1/completions', { prompt: TEXT, ...usage }],
  'a list of prompts': [['vllm', 'sglang'], '/v1/completions', { prompt: [TEXT, 'and you?'] }],
  'a message': [['sglang'], '/v1/messages', { messages }],
  'a message, streamed': [['sglang'], '/v1/messages', { messages, stream: true }],
  'a response': [['vllm', 'sglang'], '/v1/responses', { input: TEXT, store: false }],
  'a response, streamed': [['vllm', 'sglang'], '/v1/responses', { input: TEXT, store: false, stream: true }],
  'native generation': [['sglang'], '/generate', { text: TEXT, return_logprob: true }],
  'native generation, streamed': [
    ['sglang'],
    '/generate',
    { text: TEXT, return_logprob: true, stream: true },
  ],
  'native generation of a batch': [['sglang'], '/generate', { text: [TEXT, 'and you?'] }],
}

const LIMITS = { model: 'm', max_tokens: 9, max_output_tokens: 9, sampling_params: { max_new_tokens: 9 } }

/** What differs from answer to answer of one engine, too. */
const CHANGING =
  /^(?:id|created|created_at|completed_at|request_id|item_id|e2e_latency|system_fingerprint|instructions|created_cache_tokens)$/

const same = (value: Json): Json =>
  JSON.parse(JSON.stringify(value, (key, one: unknown) => (CHANGING.test(key) ? undefined : one)))

const read = (text: string, isStream: boolean): Json => same(isStream ? eventsOf(text) : JSON.parse(text))

async function alone(one: Engine, path: string, body: object): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: JSON.stringify(body) }
  return (await one.fetch(new Request(`http://e${path}`, init))).text()
}

/** Opens a router in this process. */
async function through(
  run: (start: Pick<Parameters<typeof openPairs>[0], 'open'>) => Promise<Rig>,
): Promise<void> {
  let opened: Opened | null = null
  try {
    const rig = await run({
      async open(config, fleet, options = {}) {
        opened = await open(config, fleet, options)
        return new Rig(opened, fleet, undefined)
      },
    })
    await rig.rests()
  } finally {
    await (opened as Opened | null)?.close()
  }
}

const PROTOCOLS = { vllm: 'nixl', sglang: 'sglang', lmdeploy: 'distserve' } as const

for (const kind of ['vllm', 'sglang', 'lmdeploy'] as const)
  describe(kind, () => {
    for (const [name, [engines, path, call]] of Object.entries(CALLS))
      if (engines.includes(kind))
        it(name, () =>
          through(async (start) => {
            const { rig, fleet } = await openPairs(start, PROTOCOLS[kind])
            const body = { ...LIMITS, ...call }
            const single = engine({ engine: MODES[PROTOCOLS[kind]].engine })
            const isStream = 'stream' in call
            for (const round of ['cold', 'warm']) {
              const reply = await rig.post(path, body)
              assert.equal(reply.status, 200, reply.text)
              assert.deepEqual(
                read(reply.text, isStream),
                read(await alone(single, path, body), isStream),
                round,
              )
            }
            const got = [P1, D1].map((url) => fleet[url]!.seen().handovers.map(({ state }) => state))
            assert.deepEqual(got, [
              ['taken', 'taken'],
              ['received', 'received'],
            ])
            return rig
          }),
        )
  })

describe('what is not handed over, or refused', () => {
  it('goes to the decode worker where nobody is mixed', () =>
    through(async (start) => {
      const { rig, fleet } = await openPairs(start, 'nixl')
      const reply = await rig.post('/v1/embeddings', { model: 'm', input: 'x' })
      assert.equal(reply.status, 200, reply.text)
      assert.equal(reply.headers.get('x-fetchway-prefill'), null)
      assert.equal(fleet[P1]!.seen().requests.filter(({ path }) => path === '/v1/embeddings').length, 0)
      return rig
    }))

  for (const protocol of ['nixl', 'sglang', 'distserve'] as const)
    it(`${protocol}: a refusal of the client's call is told in the engine's words, by either leg, and blames nobody`, () =>
      through(async (start) => {
        const { rig } = await openPairs(start, protocol)
        const reply = await rig.post('/v1/chat/completions', { model: 'm', messages, max_tokens: -5 })
        assert.ok(reply.status >= 400 && reply.status < 500, `${reply.status} ${reply.text}`)
        assert.equal(reply.headers.get('x-fetchway-error'), null)
        assert.equal(await rig.metric('fetchway_retries_total'), 0)
        for (const name of [P1, D1]) assert.equal((await rig.worker(name)).failed, 0)
        return rig
      }))

  it('readiness needs both roles', () =>
    through(async (start) => {
      const { rig } = await openPairs(start, 'nixl')
      assert.equal((await rig.ask('/readyz')).status, 200)
      const { id } = await rig.worker(P1)
      await rig.admin('POST', `/fetchway/v1/workers/${id}/drain`)
      assert.equal((await rig.ask('/readyz')).status, 503)
      const reply = await rig.post('/v1/chat/completions', { model: 'm', messages })
      assert.deepEqual([reply.status, reply.body.error.code], [503, 'no_workers'])
      assert.match(reply.body.error.message, /No prefill worker/)
      return rig
    }))
})
