import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryStorage } from '../../src/actors/local.ts'
import type { Storage } from '../../src/actors/actor.ts'
import { SharedWorkers } from '../../src/actors/shared-workers.ts'
import type { Registered } from '../../src/actors/registry.ts'
import { configSchema } from '../../src/config/schema.ts'
import { isPending, registryRig, spec, type RegistryRig } from './_registry.ts'

const A = 'http://a:1'
const B = 'http://b:1'
const C = 'http://c:1'
const M = { models: ['m'] }

function workerOf(registered: Registered) {
  assert.ok('worker' in registered, JSON.stringify(registered))
  return registered.worker
}

const viewOf = (rig: RegistryRig, url: string) => rig.registry.list().find((worker) => worker.url === url)
const modelsOf = (rig: RegistryRig) => rig.registry.directory(0)?.models.map((model) => model.id)
const membersOf = (rig: RegistryRig) =>
  rig.registry.members(0)?.members.map(({ ref, models }) => [ref.url, models])

describe('discovery', () => {
  it('asks a worker what it is and then each minute', async () => {
    const rig = registryRig({ workers: [A] }, { [A]: M })
    await rig.start()
    await rig.clock.advance(125_000)
    assert.deepEqual(rig.asked.get(A), [0, 60_000, 120_000])
    assert.deepEqual([viewOf(rig, A)?.engine, viewOf(rig, A)?.models], ['vllm', ['m']])
  })

  it('asks a silent worker again after 0.25 s, 0.5 s, … and at most every 5 s', async () => {
    const rig = registryRig({ workers: [A] })
    await rig.start()
    await rig.clock.advance(18_000)
    assert.deepEqual(rig.asked.get(A), [0, 250, 750, 1750, 3750, 7750, 12_750, 17_750])
    rig.scripts.set(A, M)
    await rig.clock.advance(5000)
    assert.deepEqual(modelsOf(rig), ['m'])
    assert.match(rig.logs.at(-1)?.message ?? '', /a:1 runs vllm/)
  })

  it('finds a late worker while 64 others hang', async () => {
    const dead = Array.from({ length: 64 }, (_, i) => `http://dead${i}:1`)
    const scripts = Object.fromEntries(dead.map((url) => [url, 'silent' as const]))
    const rig = registryRig({ workers: [...dead, A, B] }, { ...scripts, [A]: M, [B]: 'refused' })
    await rig.start()
    assert.equal(viewOf(rig, A)?.known, true, 'one that answers is known at once')
    rig.scripts.set(B, M)
    await rig.clock.advance(250)
    assert.equal(viewOf(rig, B)?.known, true, 'one that starts late is known at its next turn')
  })

  it('tells apart the engines by the owner of their models', async () => {
    const rig = registryRig(
      { workers: [A, B, C] },
      {
        [A]: { models: ['m'], owner: 'sglang' },
        [B]: { models: ['m'], owner: 'lmdeploy' },
        [C]: { models: ['m'], owner: 'me' },
      },
    )
    await rig.start()
    assert.deepEqual(
      rig.registry.list().map((worker) => worker.engine),
      ['sglang', 'lmdeploy', 'unknown'],
    )
    assert.deepEqual(rig.registry.directory(0)?.models[0]?.engines, ['sglang', 'lmdeploy', 'unknown'])
  })

  it('believes the owner of a worker more than the worker', async () => {
    const workers = [{ url: A, engine: 'lmdeploy' as const, models: ['mine'] }]
    const rig = registryRig({ workers }, { [A]: { models: ['m'], owner: 'vllm' } })
    await rig.start()
    assert.deepEqual([viewOf(rig, A)?.engine, viewOf(rig, A)?.models], ['lmdeploy', ['mine']])
    assert.deepEqual(membersOf(rig), [[A, ['mine']]])
  })

  it('takes a worker without a model list as it is after a few rounds, or at once where it was said', async () => {
    const rig = registryRig({ workers: [A, { url: B, engine: 'unknown' }] }, { [A]: 'bare', [B]: 'bare' })
    await rig.start()
    assert.deepEqual([viewOf(rig, A)?.known, viewOf(rig, B)?.known], [false, true])
    await rig.clock.advance(2000)
    assert.deepEqual(membersOf(rig), [
      [A, null],
      [B, null],
    ])
    assert.equal(rig.registry.directory(0)?.wildcard, true)
    await rig.clock.advance(60_000)
    assert.equal(viewOf(rig, A)?.known, true)
    assert.equal(rig.asked.get(A)?.length, 5, 'it is not taken for silent again')
    rig.scripts.set(A, M)
    await rig.clock.advance(60_000)
    assert.equal(viewOf(rig, A)?.engine, 'vllm')
  })

  it('sends no calls to a worker that was not asked yet, unless models are ignored', async () => {
    const checked = registryRig({ workers: [A] })
    assert.deepEqual(membersOf(checked), [[A, []]])
    assert.equal(checked.registry.directory(0)?.pending, 1)
    assert.deepEqual(membersOf(registryRig({ workers: [A], models: 'ignore' })), [[A, null]])
  })

  it('keeps what a worker said when it dies', async () => {
    const rig = registryRig({ workers: [A] }, { [A]: M })
    await rig.start()
    const { version } = rig.registry.members(0) ?? assert.fail()
    rig.scripts.set(A, 'refused')
    await rig.clock.advance(70_000)
    assert.deepEqual(modelsOf(rig), ['m'])
    assert.equal(rig.registry.members(version), null, 'nothing changed')
  })

  it('sends the key of a worker, else the shared one, with its questions', async () => {
    const workers = [{ url: A, apiKey: 'sk-own', headers: { 'X-Team': 'blue' } }, B]
    const rig = registryRig({ workers, workerApiKey: 'sk-shared' }, { [A]: M, [B]: M })
    await rig.start()
    const keys = [A, B].map((url) => rig.headers.get(url)?.filter((text) => text.startsWith('Bearer')))
    assert.deepEqual(keys, [['Bearer sk-own'], ['Bearer sk-shared']])
    assert.ok(rig.headers.get(A)?.includes('x-team'))
    assert.deepEqual(
      rig.registry.list().map((worker) => worker.has_api_key),
      [true, true],
    )
    assert.doesNotMatch(JSON.stringify(rig.registry.list()), /sk-|blue/)
  })
})

describe('changes', () => {
  it('of models bump the version and hint to the pool, and nothing else does', async () => {
    const rig = registryRig({ workers: [A] }, { [A]: M })
    await rig.start()
    const { version } = rig.registry.members(0) ?? assert.fail()
    assert.equal(rig.hints.at(-1), version)
    await rig.clock.advance(60_000)
    assert.equal(rig.registry.members(version), null)
    assert.equal(rig.registry.directory(version), null)
    rig.scripts.set(A, { models: ['m', 'adapter'] })
    await rig.clock.advance(60_000)
    assert.deepEqual(membersOf(rig), [[A, ['m', 'adapter']]])
    assert.ok((rig.hints.at(-1) as number) > version)
  })

  it('are looked for at once when asked to', async () => {
    const rig = registryRig({ workers: [A, B] }, { [A]: M, [B]: M })
    await rig.start()
    rig.registry.refresh(viewOf(rig, A)?.id)
    await rig.clock.advance(0)
    assert.deepEqual([rig.asked.get(A)?.length, rig.asked.get(B)?.length], [2, 1])
    rig.registry.refresh()
    await rig.clock.advance(0)
    assert.deepEqual([rig.asked.get(A)?.length, rig.asked.get(B)?.length], [3, 2])
  })

  it('reach a pool that is gone without harm', async () => {
    const rig = registryRig({ workers: [A] }, { [A]: M }, { isPoolDead: true })
    await rig.start()
    assert.deepEqual(modelsOf(rig), ['m'])
    assert.ok(rig.logs.some((event) => event.message.includes('the pool did not hear')))
  })
})

describe('settled', () => {
  it('waits until every worker was asked once, whether it answered or not', async () => {
    const rig = registryRig({ workers: [A, B] }, { [A]: M, [B]: 'silent' })
    await rig.start()
    const settled = rig.registry.settled()
    assert.ok(await isPending(settled))
    await rig.clock.advance(5000)
    assert.ok(!(await isPending(settled)))
    assert.equal(rig.registry.settled(), undefined)
  })

  it('does not wait for a worker that was removed meanwhile', async () => {
    for (const how of ['remove', 'configure'] as const) {
      const rig = registryRig({ workers: [A, B] }, { [A]: M, [B]: 'silent' })
      await rig.start()
      const settled = rig.registry.settled()
      if (how === 'remove') await rig.registry.remove(viewOf(rig, B)?.id ?? '')
      else rig.registry.configure(configSchema.parse({ workers: [A] }))
      assert.ok(!(await isPending(settled)), how)
    }
  })
})

describe('the API', () => {
  it('adds a worker and asks it at once', async () => {
    const rig = registryRig({}, { [A]: M })
    await rig.start()
    const worker = workerOf(await rig.registry.add(spec(A), 'api'))
    assert.deepEqual([worker.source, worker.known], ['api', false])
    await rig.clock.advance(0)
    assert.equal(rig.registry.get(worker.id)?.known, true)
  })

  it('refuses a second worker of one URL', async () => {
    const rig = registryRig({ workers: [A, A] }, { [A]: M })
    assert.equal(rig.registry.list().length, 1)
    const again = await rig.registry.add(spec(A), 'api')
    assert.ok('refusal' in again && again.refusal.status === 409)
    assert.match(again.refusal.message, new RegExp(viewOf(rig, A)?.id ?? 'none'))
  })

  it('refuses to change or remove what is not there', async () => {
    const rig = registryRig({})
    for (const result of [await rig.registry.patch('w-x', {}), await rig.registry.remove('w-x')])
      assert.ok('refusal' in result && result.refusal.status === 404)
    assert.equal(rig.registry.get('w-x'), null)
  })

  it('changes what it is told to and takes it back with null', async () => {
    const rig = registryRig({ workers: [{ url: A, weight: 2 }] }, { [A]: M })
    await rig.start()
    const id = viewOf(rig, A)?.id ?? ''
    const changed = workerOf(
      await rig.registry.patch(id, { spec: { models: ['x'], maxInFlight: 3, apiKey: 'k' }, draining: true }),
    )
    assert.deepEqual(
      [changed.models, changed.max_in_flight, changed.has_api_key, changed.draining, changed.weight],
      [['x'], 3, true, true, 2],
    )
    const nulls = { models: null, maxInFlight: null, apiKey: null } as unknown as object
    const back = workerOf(await rig.registry.patch(id, { spec: nulls }))
    assert.deepEqual(
      [back.models, back.max_in_flight, back.has_api_key, back.draining],
      [['m'], null, false, true],
    )
    await rig.clock.advance(0)
    assert.equal(rig.asked.get(A)?.length, 2, 'a changed worker is asked again')
  })

  it('shows draining in the membership at once, without asking the worker', async () => {
    const rig = registryRig({ workers: [A] }, { [A]: M })
    await rig.start()
    await rig.registry.patch(viewOf(rig, A)?.id ?? '', { draining: true })
    assert.equal(rig.registry.members(0)?.members[0]?.draining, true)
    await rig.clock.advance(0)
    assert.equal(rig.asked.get(A)?.length, 1)
  })

  it('forgets a removed worker, and what it answers late', async () => {
    const rig = registryRig({ workers: [A] }, { [A]: 'silent' })
    await rig.start()
    const { id } = viewOf(rig, A) ?? assert.fail()
    await rig.registry.remove(id)
    await rig.clock.advance(60_000)
    assert.deepEqual([rig.registry.list(), rig.asked.get(A)?.length], [[], 1])
  })
})

describe('persistence', () => {
  it('keeps workers of the API with what was changed, and no others', async () => {
    const storage = memoryStorage()
    const rig = registryRig({ workers: [A] }, {}, { storage })
    await rig.start()
    const b = workerOf(await rig.registry.add(spec(B, { weight: 4, labels: { zone: 'x' } }), 'api'))
    const c = workerOf(await rig.registry.add(spec(C), 'discovery'))
    await rig.registry.patch(b.id, { draining: true, spec: { maxInFlight: 9 } })
    await rig.registry.patch(c.id, { draining: true })
    const next = registryRig({}, {}, { storage })
    await next.clock.advance(1000)
    await next.start()
    assert.deepEqual(next.registry.list(), [{ ...rig.registry.get(b.id) }])
    await next.registry.remove(b.id)
    const last = registryRig({}, {}, { storage })
    await last.start()
    assert.deepEqual(last.registry.list(), [])
  })

  it('lets the configuration win over what was stored', async () => {
    const storage = memoryStorage()
    const rig = registryRig({}, {}, { storage })
    await rig.registry.add(spec(A, { weight: 4 }), 'api')
    const next = registryRig({ workers: [A] }, {}, { storage })
    await next.start()
    assert.deepEqual(
      next.registry.list().map((worker) => [worker.source, worker.weight]),
      [['flag', 1]],
    )
  })

  it('follows what other routers write to a store that they share, and loses nothing of it', async () => {
    const storage = memoryStorage()
    let written = 0
    const shared: Storage = {
      ...storage,
      put: (key: string, value: unknown) => (written++, storage.put(key, value)),
      share: (state, changed) => new SharedWorkers(state, changed, async () => String(written)),
    }
    const one = registryRig({ workers: [C] }, {}, { storage: shared })
    const two = registryRig({}, {}, { storage: shared })
    await Promise.all([one.start(), two.start()])
    const urls = (rig: typeof one) => rig.registry.list().map(({ url }) => url)
    await one.registry.add(spec(A), 'api')
    // Before the other has looked: it must not write over what it has not seen.
    await two.registry.add(spec(B), 'api')
    await one.clock.advance(2000)
    assert.deepEqual(
      [urls(one), urls(two)],
      [
        [C, A, B],
        [A, B],
      ],
    )
    const id = one.registry.list()[1]?.id ?? ''
    await two.registry.patch(id, { draining: true })
    await one.clock.advance(2000)
    assert.equal(one.registry.get(id)?.draining, true)
    await one.registry.remove(id)
    await two.clock.advance(2000)
    assert.deepEqual([urls(one), urls(two)], [[C, B], [B]])
  })

  it('starts with a stored value that is broken, and says so', async () => {
    const good = { spec: spec(B), addedAt: 5, draining: false }
    for (const value of [
      7,
      'x',
      { a: 1 },
      null,
      [null, 7, { spec: { url: 7 } }, { spec: { ...spec(A), odd: 1 } }, good],
    ]) {
      const storage = memoryStorage()
      await storage.put('workers', value)
      const rig = registryRig({ workers: [C] }, { [B]: M, [C]: M }, { storage })
      await rig.start()
      const kept = Array.isArray(value) ? [C, B] : [C]
      assert.deepEqual(
        rig.registry.list().map((worker) => worker.url),
        kept,
      )
      assert.ok(
        rig.logs.some((event) => event.level === 'warn'),
        JSON.stringify(value),
      )
      assert.deepEqual(modelsOf(rig), ['m'])
    }
    const storage = memoryStorage()
    await storage.put('workers', [{ spec: spec(A), addedAt: 'yesterday' }])
    const rig = registryRig({}, {}, { storage })
    await rig.start()
    assert.equal(rig.registry.list()[0]?.added_at, new Date(rig.clock.now()).toISOString())
  })

  it('adds a worker even where nothing can be stored', async () => {
    const storage = { ...memoryStorage(), put: () => Promise.reject(new Error('disk full')) }
    const rig = registryRig({}, { [A]: M }, { storage })
    await rig.start()
    workerOf(await rig.registry.add(spec(A), 'api'))
    assert.ok(rig.logs.some((event) => String(event['error']).includes('disk full')))
  })
})

describe('a reload', () => {
  it('replaces the workers of the configuration and leaves the others', async () => {
    const rig = registryRig({ workers: [A, B] }, { [A]: M, [B]: M, [C]: { models: ['c'] } })
    await rig.start()
    await rig.registry.add(spec('http://d:1'), 'api')
    await rig.registry.patch(viewOf(rig, B)?.id ?? '', { draining: true })
    rig.registry.configure(configSchema.parse({ workers: [{ url: B, weight: 5 }, C] }))
    await rig.clock.advance(0)
    assert.deepEqual(
      rig.registry.list().map((worker) => [worker.url, worker.source, worker.weight, worker.draining]),
      [
        [B, 'flag', 5, true],
        ['http://d:1', 'api', 1, false],
        [C, 'flag', 1, false],
      ],
    )
    assert.deepEqual(modelsOf(rig), ['m', 'c'])
  })

  it('keeps what an unchanged worker said, and its models known meanwhile', async () => {
    const rig = registryRig({ workers: [A] }, { [A]: M })
    await rig.start()
    rig.scripts.set(A, 'silent')
    rig.registry.configure(configSchema.parse({ workers: [A] }))
    assert.deepEqual([modelsOf(rig), rig.registry.settled()], [['m'], undefined])
  })
})
