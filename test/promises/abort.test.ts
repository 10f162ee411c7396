// A client that leaves stops the GPU within 100 ms, in four places, and leaves nothing behind.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { lived } from '../_lived.ts'
import { delta, engine, ok, silent, type ScriptedEngine } from './_engine.ts'
import { chat, open, pause, router, send, STREAM, type Router } from './_router.ts'

/** Fails unless the worker saw the close within 100 ms (as lived) of the leave and nothing else was begun. */
async function stops(made: Router, worker: ScriptedEngine, leftAt: number, calls = 1): Promise<void> {
  const call = worker.calls[calls - 1]
  await worker.until(() => call?.closedAt !== null)
  assert.ok((call?.closedAt ?? Infinity) - leftAt < 100, `after ${(call?.closedAt ?? 0) - leftAt} ms`)
  await made.rests()
  assert.equal(worker.calls.length, calls, 'no retry was begun')
}

async function pair(
  t: TestContext,
): Promise<{ made: Router; first: ScriptedEngine; second: ScriptedEngine }> {
  const first = await engine(t, silent)
  const second = await engine(t, silent)
  const made = await router(t, { workers: [first.url, second.url], firstTokenTimeout: '5s' })
  return { made, first, second }
}

describe('a client that leaves', () => {
  it('before the first byte of a stream closes the worker, and nobody else is tried', async (t) => {
    const { made, first, second } = await pair(t)
    const client = open(made.url, { body: STREAM })
    await Promise.race([first.call(), second.call()])
    const [hit, other] = first.calls.length > 0 ? [first, second] : [second, first]
    await stops(made, hit, client.leave())
    assert.equal(other.calls.length, 0)
    assert.equal(await made.metric('fetchway_retries_total'), 0)
  })

  it('in a non-streaming call closes the worker', async (t) => {
    const { made, first, second } = await pair(t)
    const client = open(made.url, { body: chat() })
    await Promise.race([first.call(), second.call()])
    const [hit, other] = first.calls.length > 0 ? [first, second] : [second, first]
    await stops(made, hit, client.leave())
    assert.equal(other.calls.length, 0)
  })

  it('in the midst of a stream closes the worker', async (t) => {
    const worker = await engine(t, (call) => call.begin().write(delta('a')))
    const made = await router(t, { workers: [worker.url] })
    const client = await open(made.url, { body: STREAM }).sees('"a"')
    await stops(made, worker, client.leave())
    assert.equal(await made.metric('fetchway_requests_total', 'outcome="left"'), 1)
  })

  it('in the midst of a whole answer closes the worker', async (t) => {
    const worker = await engine(t, (call) => call.begin('application/json').write('{"id":'))
    const made = await router(t, { workers: [worker.url] })
    const client = await open(made.url).sees('id')
    await stops(made, worker, client.leave())
  })

  it('with its answer still in the head stage closes the worker', async (t) => {
    const worker = await engine(t, (call) => call.begin())
    const made = await router(t, { workers: [worker.url] })
    const client = open(made.url, { body: STREAM })
    await worker.call()
    await stops(made, worker, client.leave())
  })

  it('while queued is never sent to a worker', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [worker.url], maxInFlightPerWorker: 1 })
    const running = open(made.url)
    await worker.call()
    const waiting = open(made.url, { body: STREAM })
    while ((await made.status()).queued === 0);
    waiting.leave()
    const leftAt = lived()
    while ((await made.status()).queued > 0);
    assert.ok(lived() - leftAt < 100)
    await stops(made, worker, running.leave())
  })

  it('in the pause before a second attempt is not tried again', async (t) => {
    const worker = await engine(t, (call) => call.die())
    const made = await router(t, {
      workers: [worker.url],
      retryDelay: '800ms',
      retryJitter: 0,
      breakerFailures: 0,
    })
    const client = open(made.url)
    await worker.call()
    await worker.until(() => worker.inFlight === 0)
    client.leave()
    await made.rests()
    await pause(1000)
    assert.equal(worker.calls.length, 1)
  })

  it('on a kept connection does not take the next client down', async (t) => {
    const worker = await engine(t, (call) => (call.text.includes('hang') ? undefined : ok(call)))
    const made = await router(t, { workers: [worker.url] })
    for (let i = 0; i < 5; i++) {
      const client = open(made.url, { body: chat({ user: 'hang' }) })
      await worker.call(2 * i + 1)
      client.leave()
      assert.equal((await send(made.url)).status, 200)
    }
    await made.rests()
  })

  it('leaves no count behind after a storm of leaves, deaths and answers', async (t) => {
    let n = 0
    const worker = await engine(t, (call) => {
      const turn = n++ % 4
      if (turn === 0) return ok(call)
      if (turn === 1) return call.begin().write(delta('a')).die()
      if (turn === 2) return call.die()
      return call.begin().write(delta('a'))
    })
    const made = await router(t, {
      workers: [worker.url],
      maxInFlightPerWorker: 10,
      breakerFailures: 0,
      idleTimeout: '60ms',
      retryFloor: 1000,
    })
    const clients = Array.from({ length: 200 }, (_, i) => {
      const client = open(made.url, { body: i % 2 === 0 ? STREAM : chat() })
      if (i % 3 === 0) setTimeout(() => client.leave(), i % 40)
      return client.ended
    })
    await Promise.all(clients)
    await made.rests()
    await worker.until(() => worker.inFlight === 0)
    assert.ok(worker.mostInFlight <= 10, `${worker.mostInFlight} in flight`)
  })
})
