// What DLRouter's README says that it cannot do: several types of engine in one process, models that are asked for beside calls.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { dlrouter } from '../../src/dialects/dlrouter/index.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { network } from '../journeys/_network.ts'
import { callsOf, CHAT, chat, engine, W1, W2, W3, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat, type Spoken } from './_rig.ts'

const open = (t: TestContext, fleet: Fleet, more: Partial<Spoken> = {}): Promise<Compat> =>
  speak(t, dlrouter, { fleet, flags: '--backend vllm --disable_cache_status', ...more })

test('several backend types serve in one process', async (t) => {
  const fleet = {
    [W1]: engine({ engine: 'vllm', models: ['a'] }),
    [W2]: engine({ engine: 'sglang', models: ['b'] }),
    [W3]: engine({ engine: 'lmdeploy', models: ['c'] }),
  }
  const router = await open(t, fleet)
  for (const url of Object.keys(fleet)) await router.post('/nodes/add', { url })
  for (const model of ['a', 'b', 'c']) assert.equal((await router.post(CHAT, chat({ model }))).status, 200)
  assert.deepEqual(
    Object.values(fleet).map((node) => callsOf(node).map(({ body }) => JSON.parse(body).model)),
    [['a'], ['b'], ['c']],
  )
})

test('pairs of several backend types serve in one process, each by its own protocol', async (t) => {
  const fleet: Record<string, Engine> = {}
  const reach = (url: unknown, init?: RequestInit) => network(fleet)(String(url), init ?? {})
  const by = { fetch: reach as typeof globalThis.fetch, handoverTimeout: 200 }
  const kinds = ['vllm', 'sglang', 'lmdeploy'] as const
  const urls = kinds.flatMap((kind) => {
    const names = { prefill: `http://${kind}-p:8998`, decode: `http://${kind}-d:1` }
    for (const role of ['prefill', 'decode'] as const)
      fleet[names[role]] = engine({ ...by, engine: kind, role, models: [kind] })
    return [names.prefill, names.decode]
  })
  const flags = '--backend vllm --serving_strategy distserve --disable_cache_status'
  const router = await open(t, fleet, { flags })
  for (const [i, url] of urls.entries())
    await router.post('/nodes/add', { url, status: { role: 2 + (i % 2) } })
  for (const kind of kinds) {
    const { status, text } = await router.post(CHAT, chat({ model: kind }))
    assert.equal(status, 200, text)
  }
  const told = kinds.map((kind) =>
    JSON.parse(callsOf(fleet[`http://${kind}-p:8998`]!).find(({ path }) => path === CHAT)?.body ?? '{}'),
  )
  assert.deepEqual(
    told.map((body) => ['kv_transfer_params', 'bootstrap_room', 'with_cache'].filter((key) => key in body)),
    [['kv_transfer_params'], ['bootstrap_room'], ['with_cache']],
  )
})

test('models are asked for beside everything else: a node that hangs holds up nobody', async (t) => {
  const hanging = engine({ fault: 'stall-before-head;path=/' })
  const router = await open(t, { [W1]: engine(), [W2]: hanging }, { movesClock: true })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'] } })
  const adding = router.post('/nodes/add', { url: W2 })
  assert.equal((await router.post(CHAT, chat())).status, 200)
  assert.equal((await router.ask('/health')).status, 200)
  const isAnswered = await Promise.race([adding.then(() => true), Promise.resolve(false)])
  assert.equal(isAnswered, false)
  await router.pass(6000)
  await adding
  assert.deepEqual((await router.ask('/nodes/status')).body[W2].models, [])
})
