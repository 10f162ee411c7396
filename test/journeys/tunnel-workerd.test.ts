// Journeys on workerd with every worker dialled in, each to a Durable Object of its own.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { box, engineOn, TOKEN } from '../tunnel/_box.ts'
import { dialledIn } from './_dialled.ts'
import { journeys } from './_journeys.ts'
import { chat, CHAT, engine, eventually, Rig } from './_rig.ts'
import { tunnelFaults } from './_tunnel-faults.ts'
import { open } from './_workerd.ts'

journeys({
  name: 'tunnel on workerd',
  open: dialledIn(open),
  gaps: ['real-clock', 'early-leave', 'fixed-configuration', 'dialled-in', 'no-sockets'],
})

tunnelFaults('workerd', open, false)

describe('tunnel on workerd: objects come and go', () => {
  const start = async (t: TestContext) => {
    const opened = await open({ tunnelTokens: [{ token: TOKEN, name: 'box' }], workers: [], retries: 0 }, {})
    t.after(() => opened.close())
    const w1 = engine()
    const { told } = box(t, { router: opened.at, engine: await engineOn(t, (request) => w1.fetch(request)) })
    const rig = new Rig(opened, {}, undefined)
    await eventually(
      async () => (await rig.workers()).some((one) => one.known && one.state === 'up'),
      () => 'it never became known',
    )
    return { opened, rig, told }
  }

  it('a registry that is lost knows the workers that have dialled in', async (t) => {
    const { opened, rig } = await start(t)
    const [{ id }] = (await rig.workers()) as [{ id: string }]
    await rig.admin('PATCH', `/fetchway/v1/workers/${id}`, { weight: 3 })
    await opened.loseRegistry()
    const answers = await Promise.all(Array.from({ length: 5 }, () => rig.post(CHAT, chat())))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    const [{ source, weight }] = (await rig.workers()) as [{ source: string; weight: number }]
    assert.deepEqual([source, weight], ['tunnel', 3])
  })

  it('a worker whose object is lost dials again, and begins anew', async (t) => {
    const { opened, rig, told } = await start(t)
    const broken = rig.post(CHAT, chat({ stream: true, max_tokens: 500, ignore_eos: true }), {
      'x-fault': 'slow=5ms',
    })
    await eventually(
      async () => (await rig.status()).in_flight === 1,
      () => 'never in flight',
    )
    await opened.loseTunnel('box')
    assert.match((await broken).text, /"code":"worker_died"/)
    await eventually(
      async () => (await rig.post(CHAT, chat())).status === 200,
      () => `it never came back: ${told.join()}`,
    )
    assert.equal(told.filter((event) => event === 'connected').length, 2)
  })

  it('a deployment that revokes a token cuts its worker off, and removes it', async (t) => {
    const before = await open({ tunnelTokens: [TOKEN], workers: [] }, {}, { store: 'redeployed' })
    const w1 = engine()
    const behind = await engineOn(t, (request) => w1.fetch(request))
    const { ended } = box(t, { router: before.at, engine: behind })
    const rig = new Rig(before, {}, undefined)
    await eventually(
      async () => (await rig.workers()).some((one) => one.known),
      () => 'it never became known',
    )
    const tunnelTokens = [{ token: TOKEN, revoked: true }]
    const next = await open({ tunnelTokens, workers: [] }, {}, { store: 'redeployed' })
    t.after(() => Promise.all([before.close(), next.close()]))
    // What a deployment does to objects.
    await Promise.all([before.loseRegistry(), before.loseTunnel('box')])
    assert.match((await ended).reason, /revoked/)
    await eventually(
      async () => (await rig.workers()).length === 0,
      () => 'it is still there',
    )
  })

  it('no object is made for a name that no token is good for', async (t) => {
    const { opened } = await start(t)
    const { ended } = box(t, { router: opened.at, engine: 'http://127.0.0.1:9', name: 'other' })
    assert.match((await ended).reason, /\(403\): No worker may dial in by the name "other"/)
  })
})
