// LMDeploy engines are introduced to each other once a pair, again after a restart, and parted when one is removed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Engine } from '../../src/simulator/engine.ts'
import { D1, fleetOf, MODES, P1, workersOf } from '../journeys/_pairs.ts'
import { chat, CHAT, eventually, Rig, WORKERS, type Json } from '../journeys/_rig.ts'
import { open } from '../journeys/_web.ts'

const linkCalls = (one: Engine): string[] =>
  one
    .seen()
    .requests.map(({ path }) => path)
    .filter((path) => path.startsWith('/distserve/'))

const ALL = ['/distserve/engine_info', '/distserve/p2p_initialize', '/distserve/p2p_connect']

async function opened(run: (rig: Rig, fleet: Record<string, Engine>) => Promise<void>, config = {}) {
  const fleet = fleetOf(MODES.distserve, [P1, D1])
  const router = await open({ workers: workersOf(fleet), ...config }, fleet, {})
  const rig = new Rig(router, fleet, undefined)
  try {
    await run(rig, fleet)
    await rig.rests()
  } finally {
    await router.close()
  }
}

test('a pair is introduced once, however many calls come at once', () =>
  opened(async (rig, fleet) => {
    const replies = await Promise.all(Array.from({ length: 5 }, () => rig.post(CHAT, chat())))
    assert.deepEqual(
      replies.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    )
    for (const one of Object.values(fleet)) assert.deepEqual(linkCalls(one), ALL)
    const met = fleet[D1]!.seen().requests.find(({ path }) => path.endsWith('p2p_initialize'))
    assert.deepEqual(JSON.parse(met!.body) as Json, {
      local_engine_id: D1,
      local_engine_config: (JSON.parse(met!.body) as Json).local_engine_config,
      remote_engine_id: P1,
      remote_engine_config: (JSON.parse(met!.body) as Json).remote_engine_config,
      protocol: 2,
      rank: null,
      tcp_config: null,
      rdma_config: { with_gdr: true, link_type: 2 },
      nvlink_config: null,
    })
    assert.equal((JSON.parse(met!.body) as Json).local_engine_config.tp_size, 1, 'encoded once')
  }))

test('what makes a connection is done by the prefill engine before the decode engine hears of it', async () => {
  const steps: string[] = []
  const fleet = fleetOf(MODES.distserve, [P1, D1])
  const watched = Object.fromEntries(
    Object.entries(fleet).map(([name, one]) => {
      const fetch = async (request: Request) => {
        const step = `${new URL(request.url).pathname} ${name === P1 ? 'P' : 'D'}`
        steps.push(`begins ${step}`)
        const response = await one.fetch(request)
        await new Promise((resolve) => setImmediate(resolve))
        steps.push(`ends ${step}`)
        return response
      }
      return [name, { ...one, fetch }]
    }),
  )
  const router = await open({ workers: workersOf(fleet) }, watched, {})
  try {
    assert.equal((await new Rig(router, watched, undefined).post(CHAT, chat())).status, 200)
  } finally {
    await router.close()
  }
  assert.deepEqual(
    steps.filter((step) => step.includes('/p2p_')),
    ['p2p_initialize', 'p2p_connect'].flatMap((name) =>
      ['P', 'D'].flatMap((one) => [`begins /distserve/${name} ${one}`, `ends /distserve/${name} ${one}`]),
    ),
  )
})

for (const name of [P1, D1])
  test(`they are introduced again after a restart of ${name}`, () =>
    opened(
      async (rig, fleet) => {
        assert.equal((await rig.post(CHAT, chat())).status, 200)
        fleet[name]!.kill()
        assert.ok((await rig.post(CHAT, chat())).status >= 500)
        fleet[name]!.revive()
        const reply = await rig.post(CHAT, chat())
        assert.equal(reply.status, 200, reply.text)
      },
      { retries: 0, breakerFailures: 0 },
    ))

test('they are introduced again when a restart was seen by nobody', () =>
  opened(async (rig, fleet) => {
    assert.equal((await rig.post(CHAT, chat())).status, 200)
    for (const one of Object.values(fleet)) {
      one.kill()
      one.revive()
      const reply = await rig.post(CHAT, chat())
      assert.equal(reply.status, 200, reply.text)
    }
  }))

test('a worker that is removed is parted from its mates', () =>
  opened(async (rig, fleet) => {
    await rig.post(CHAT, chat())
    const { id } = await rig.worker(D1)
    assert.equal((await rig.admin('DELETE', `${WORKERS}/${id}`)).status, 200)
    for (const one of Object.values(fleet))
      await eventually(
        () => linkCalls(one).at(-1) === '/distserve/p2p_drop_connect',
        () => `it saw ${linkCalls(one).join()}`,
      )
  }))

test('without any prefill the decode engine alone is measured', () =>
  opened(
    async (rig, fleet) => {
      const reply = await rig.post(CHAT, chat())
      assert.equal(reply.status, 200, reply.text)
      assert.equal(
        fleet[P1]!.seen().requests.some(({ path }) => path === CHAT),
        false,
      )
      const body = fleet[D1]!.seen().requests.find(({ path }) => path === CHAT)!.body
      assert.equal((JSON.parse(body) as Json).migration_request.is_dummy_prefill, true)
    },
    { dummyPrefill: true },
  ))
