// Failures in a row open a breaker; what is the client's fault, or a worker that is busy, never does.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import {
  engine,
  error,
  ok,
  silent,
  delta,
  DONE,
  LAST,
  type Behaviour,
  type ScriptedEngine,
} from './_engine.ts'
import { codeOf, open, pause, router, send, STREAM, type Router } from './_router.ts'
import type { ConfigInput } from '../../src/config/schema.ts'

const die: Behaviour = (call) => call.die()

/** How long a breaker is open where it is waited for: what has to happen meanwhile takes far less. */
const OPEN = 600
const SHORT = { breakerOpen: `${OPEN}ms` }

async function single(
  t: TestContext,
  behave: Behaviour,
  config: ConfigInput = {},
): Promise<{ made: Router; worker: ScriptedEngine }> {
  const worker = await engine(t, behave)
  const made = await router(t, {
    workers: [worker.url],
    retries: 0,
    breakerFailures: 3,
    breakerOpen: '60s',
    ...config,
  })
  return { made, worker }
}

const stateOf = async (made: Router): Promise<string | undefined> => (await made.workers())[0]?.breaker

describe('a breaker', () => {
  for (const [what, behave] of [
    ['deaths', die],
    ['500s', error(500)],
    ['502s', error(502)],
    ['504s', error(504)],
  ] as [string, Behaviour][]) {
    it(`opens after so many ${what} in a row, and not before`, async (t) => {
      const { made, worker } = await single(t, behave)
      for (let i = 0; i < 2; i++) await send(made.url)
      assert.equal(await stateOf(made), 'closed')
      await send(made.url)
      assert.equal(await stateOf(made), 'open')
      const got = await send(made.url)
      assert.equal(got.status, 503)
      assert.equal(codeOf(got), 'no_workers')
      assert.ok(Number(got.headers['retry-after']) >= 1)
      assert.equal(worker.calls.length, 3)
    })
  }

  it('counts streams that died and clocks that rang', async (t) => {
    const { made } = await single(t, (call) => void call.begin().write(delta('a')), { idleTimeout: '30ms' })
    for (let i = 0; i < 3; i++) await send(made.url, { body: STREAM })
    assert.equal(await stateOf(made), 'open')
  })

  it('forgets failures after a success between them', async (t) => {
    let n = 0
    const { made } = await single(t, (call) => (++n % 3 === 0 ? ok(call) : call.die()))
    for (let i = 0; i < 9; i++) await send(made.url)
    assert.equal(await stateOf(made), 'closed')
  })

  it('forgets failures outside its window', async (t) => {
    const { made } = await single(t, die, { breakerWindow: '80ms' })
    for (let i = 0; i < 5; i++) {
      await send(made.url)
      await pause(45)
    }
    assert.equal(await stateOf(made), 'closed')
  })

  for (const status of [400, 401, 404, 413, 422, 429, 503]) {
    it(`stays closed through a hundred ${status}s`, async (t) => {
      const { made, worker } = await single(
        t,
        error(status, status === 503 || status === 429 ? { 'retry-after': '9' } : {}),
      )
      for (let i = 0; i < 4; i++) {
        const got = await Promise.all(Array.from({ length: 25 }, () => send(made.url)))
        for (const one of got) assert.equal(one.status, status)
      }
      assert.equal(await stateOf(made), 'closed')
      worker.behave = ok
      assert.equal((await send(made.url)).status, 200)
    })
  }

  it('stays closed when clients leave', async (t) => {
    const { made, worker } = await single(t, silent)
    for (let i = 1; i <= 6; i++) {
      const client = open(made.url)
      await worker.call(i)
      client.leave()
      await made.rests()
    }
    assert.equal(await stateOf(made), 'closed')
  })

  it('half open lets one probe through, and closes after its successes', async (t) => {
    const { made, worker } = await single(t, die, SHORT)
    for (let i = 0; i < 3; i++) await send(made.url)
    await pause(OPEN + 20)
    worker.behave = silent
    const probe = open(made.url)
    await worker.call(4)
    const others = await Promise.all(Array.from({ length: 5 }, () => send(made.url)))
    for (const got of others) assert.equal(got.status, 503)
    assert.equal(worker.calls.length, 4)
    assert.equal(await stateOf(made), 'half_open')
    worker.behave = ok
    ok(await worker.call(4))
    assert.equal((await probe.ended).status, 200)
    assert.equal(await stateOf(made), 'half_open')
    assert.equal((await send(made.url)).status, 200)
    assert.equal(await stateOf(made), 'closed')
  })

  it('half open lets one probe through even when a stream from before ends meanwhile', async (t) => {
    const { made, worker } = await single(t, (call) => void call.begin().write(delta('a')), SHORT)
    const before = await open(made.url, { body: STREAM }).sees('"a"')
    const left = await open(made.url, { body: STREAM }).sees('"a"')
    worker.behave = die
    for (let i = 0; i < 3; i++) await send(made.url)
    await pause(OPEN + 20)
    worker.behave = silent
    const probe = open(made.url)
    await worker.call(6)
    left.leave()
    ;(await worker.call(1)).write(LAST).write(DONE).end()
    await before.ended
    await pause(20)
    assert.equal((await send(made.url)).status, 503)
    assert.equal(worker.calls.length, 6)
    probe.leave()
    await made.rests()
  })

  it('half open opens again when its probe fails', async (t) => {
    const { made, worker } = await single(t, die, SHORT)
    for (let i = 0; i < 3; i++) await send(made.url)
    await pause(OPEN + 20)
    assert.equal((await send(made.url)).status, 502)
    assert.equal(await stateOf(made), 'open')
    assert.equal((await send(made.url)).status, 503)
    assert.equal(worker.calls.length, 4)
  })

  it('half open is free again when its probe left', async (t) => {
    const { made, worker } = await single(t, die, SHORT)
    for (let i = 0; i < 3; i++) await send(made.url)
    await pause(OPEN + 20)
    worker.behave = silent
    const probe = open(made.url)
    await worker.call(4)
    probe.leave()
    await made.rests()
    worker.behave = ok
    assert.equal((await send(made.url)).status, 200)
  })

  it('keeps calls from a sick worker while others are well', async (t) => {
    const sick = await engine(t, die)
    const well = await engine(t, ok)
    const made = await router(t, { workers: [sick.url, well.url], breakerFailures: 3, policy: 'round_robin' })
    for (let i = 0; i < 20; i++) assert.equal((await send(made.url)).status, 200)
    assert.equal(sick.calls.length, 3)
    assert.equal(well.calls.length, 20)
  })
})

describe('health', () => {
  it('of a worker that answers tokens but no probe stays good', async (t) => {
    const worker = await engine(t, ok, { probe: (call) => call.path === '/health' })
    const made = await router(t, {
      workers: [worker.url],
      healthInterval: '500ms',
      healthTimeout: '400ms',
      healthFailures: 1,
    })
    const asked = () => worker.questions.filter((call) => call.path === '/health').length
    const before = asked()
    // The third probe begins when two were given up.
    while (asked() < before + 3) {
      assert.equal((await send(made.url)).status, 200)
      await pause(20)
    }
    assert.equal((await made.workers())[0]?.state, 'up')
  })

  it('comes back with the calls in flight still counted', async (t) => {
    let isSick = false
    const worker = await engine(t, silent, {
      probe: (call) => {
        if (call.path === '/health' && isSick) call.answer(503, '')
        return call.path === '/health' && isSick
      },
    })
    const made = await router(t, { workers: [worker.url], healthInterval: '20ms', healthFailures: 1 })
    const client = open(made.url)
    await worker.call()
    isSick = true
    while ((await made.workers())[0]?.state !== 'down') await pause(5)
    isSick = false
    while ((await made.workers())[0]?.state !== 'up') await pause(5)
    assert.equal((await made.workers())[0]?.in_flight, 1)
    client.leave()
    await made.rests()
  })
})
