// A client that leaves stops the engine's work, wherever the call is, and leaves nothing behind.
import assert from 'node:assert/strict'
import type { Engine } from '../../src/simulator/engine.ts'
import type { Journeys, Start } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, unless, W1, W2, type Json, type Rig } from './_rig.ts'

const SLOW = { speed: 1, stepMs: 20 }
const LONG = { max_tokens: 2000, ignore_eos: true }

/** Starts a call; `leave` breaks it off and checks that its client sees nothing more. */
function start(rig: Rig, body: Json, headers: Record<string, string> = {}) {
  const abort = new AbortController()
  const response = rig.request(CHAT, { body, headers, signal: abort.signal })
  response.catch(() => undefined)
  return {
    response,
    async leave() {
      abort.abort()
      await assert.rejects(response.then((one) => one.text()))
    },
  }
}

/** Fails unless the engine's work ends soon. */
async function stops(rig: Rig, worker: Engine): Promise<void> {
  await rig.soon(
    () => worker.seen().running + worker.seen().waiting === 0,
    () => 'the engine works on',
  )
  await rig.rests()
  assert.equal(worker.seen().finished, 0)
  assert.equal(await rig.metric('fetchway_requests_total', 'outcome="left"'), 1)
  assert.equal(await rig.metric('fetchway_retries_total'), 0)
}

async function running(worker: Engine): Promise<void> {
  await eventually(
    () => worker.seen().running > 0,
    () => 'it never ran',
  )
}

export const leaving: Journeys = {
  async 'in the midst of a stream'({ open }) {
    const w1 = engine(SLOW)
    const rig = await open({}, { [W1]: w1 })
    const call = start(rig, chat({ ...LONG, stream: true }))
    const reader = ((await call.response).body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await running(w1)
    reader.releaseLock()
    await call.leave()
    await stops(rig, w1)
    assert.equal(w1.seen().aborted, 1)
  },

  'before the first byte': unless('early-leave', async ({ open }: Start) => {
    const w1 = engine({ ...SLOW, prefillTokensPerSecond: 20 })
    const rig = await open({}, { [W1]: w1, [W2]: engine({ models: ['other'] }) })
    const call = start(rig, chat({ ...LONG, stream: true }))
    await running(w1)
    await call.leave()
    await stops(rig, w1)
    assert.equal(callsOf(w1).length, 1)
  }),

  'eight at once before the response head, whose prompts came behind their heads': unless(
    'early-leave',
    async ({ open }: Start) => {
      const w1 = engine(SLOW)
      const rig = await open({}, { [W1]: w1 })
      const messages = [{ role: 'user', content: 'A prompt. '.repeat(2000) }]
      const calls = Array.from({ length: 8 }, (_, i) =>
        start(rig, chat({ ...LONG, messages, stream: i % 2 === 0 }), { 'x-fault': 'stall-before-first' }),
      )
      await rig.busy(w1, 8)
      await Promise.all(calls.map((call) => call.leave()))
      let left: string | null = null
      await rig.soon(
        async () => (left = await rig.held()) === null,
        () => `still held: ${left}`,
      )
      await rig.rests()
      assert.equal(await rig.metric('fetchway_requests_total', 'outcome="left"'), 8)
    },
  ),

  'in a call that does not stream': unless('early-leave', async ({ open }: Start) => {
    const w1 = engine(SLOW)
    const rig = await open({}, { [W1]: w1 })
    const call = start(rig, chat(LONG))
    await running(w1)
    await call.leave()
    await stops(rig, w1)
    assert.equal(w1.seen().aborted, 1)
  }),

  'while it waits, and its place is free for the next': unless('early-leave', async ({ open }: Start) => {
    const w1 = engine(SLOW)
    const rig = await open({ maxInFlightPerWorker: 1, queueSize: 1 }, { [W1]: w1 })
    const first = start(rig, chat(LONG))
    await running(w1)
    const waiting = start(rig, chat({ stream: true }))
    await rig.queued(1)
    await waiting.leave()
    await rig.queued(0)
    const next = start(rig, chat({ stream: true }))
    await rig.queued(1)
    await first.leave()
    assert.match(await (await next.response).text(), /\[DONE\]/)
    assert.equal(callsOf(w1).length, 2)
    await rig.rests()
    assert.equal(await rig.metric('fetchway_requests_total', 'outcome="left"'), 2)
  }),

  async 'a stream that is kept awake, while it waits and after'({ open }) {
    const w1 = engine(SLOW)
    const rig = await open({ maxInFlightPerWorker: 1, keepAlive: '10ms' }, { [W1]: w1 })
    const first = start(rig, chat({ ...LONG, stream: true }))
    await first.response
    await running(w1)
    const waiting = start(rig, chat({ stream: true }))
    await waiting.response
    await rig.queued(1)
    await waiting.leave()
    await rig.queued(0)
    await first.leave()
    await rig.rests()
    const late = start(rig, chat({ ...LONG, stream: true }), { 'x-fault': 'delay=50ms' })
    await late.response
    await running(w1)
    await late.leave()
    await rig.rests()
    assert.equal(w1.seen().finished, 0)
  },

  'hundreds at once, and every gauge is back at 0': unless('early-leave', async ({ open }: Start) => {
    const w1 = engine({ ...SLOW, maxSequences: 8 })
    const rig = await open({ maxInFlightPerWorker: 20 }, { [W1]: w1 })
    const calls = Array.from({ length: 200 }, (_, i) => start(rig, chat({ ...LONG, stream: i % 2 === 0 })))
    await rig.busy(w1, 20)
    await rig.queued(180)
    await Promise.all(calls.map((call) => call.leave()))
    await rig.rests()
    assert.equal((await rig.post(CHAT, chat({ max_tokens: 1 }))).status, 200)
  }),
}
