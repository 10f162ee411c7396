import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ask } from '../../src/actors/ask.ts'
import { localActors, memoryStorage, strict, type Seams } from '../../src/actors/local.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { UpstreamFailure } from '../../src/host.ts'
import { createClock } from '../_clock.ts'
import { ask } from './_pool.ts'
import { spec } from './_registry.ts'

function rig(config: ConfigInput = {}) {
  const clock = createClock()
  const failed: unknown[] = []
  const asked: string[] = []
  const opened: string[] = []
  const seams: Seams = {
    fetch: (_, { path }) => {
      asked.push(path)
      return Promise.reject(new UpstreamFailure('connect', 'refused'))
    },
    relay: () => new Response(),
    now: clock.now,
    random: () => 0,
    timer: clock.timer,
    after: (work) => void work.catch((error: unknown) => failed.push(error)),
    log() {},
  }
  const actors = localActors(configSchema.parse(config), seams, (name) => {
    opened.push(name)
    return memoryStorage()
  })
  return { actors, clock, asked, failed, opened }
}

test('a name is one actor, made when first asked for', () => {
  const { actors, opened } = rig()
  assert.deepEqual(opened, [])
  assert.equal(actors.limiter('a'), actors.limiter('a'))
  assert.notEqual(actors.limiter('a'), actors.limiter('b'))
  assert.deepEqual(opened, ['a', 'b'])
})

test('actors reach each other: a worker that is added gets calls', async () => {
  const { actors, clock } = rig()
  await actors.registry('main').start()
  await actors.registry('main').add(spec('http://a:1', { models: ['m'], engine: 'vllm' }), 'api')
  await clock.advance(0)
  const pick = await actors.pool('main').pick(ask())
  assert.ok('plan' in pick, JSON.stringify(pick))
  assert.equal(pick.plan.worker.url, 'http://a:1')
})

test('an alarm rings at its time, and a later one replaces it', async () => {
  const { actors, clock, asked } = rig({ workers: ['http://a:1'], healthInterval: 'off' })
  await actors.registry('main').start()
  await clock.advance(0)
  const pending = clock.pending
  await actors.registry('main').refresh()
  await actors.registry('main').refresh()
  assert.equal(clock.pending, pending, 'one alarm')
  await clock.advance(0)
  assert.equal(asked.length, 2, 'it rang twice: at the start and now')
})

test('an alarm that fails is told of, and ends nothing', async () => {
  const { actors, clock, failed } = rig({ workers: ['http://a:1'] })
  const registry = actors.registry('main') as unknown as { alarm(): Promise<void> }
  registry.alarm = () => Promise.reject(new Error('a bug'))
  await actors.registry('main').start()
  await clock.advance(0)
  assert.match(String(failed[0]), /a bug/)
})

test('behind the strict wall every call is asynchronous and answers are copies', async () => {
  const { actors } = rig({ workers: [{ url: 'http://a:1', models: ['m'] }] })
  const walled = strict(actors)
  const here = actors.registry('main').members(0)
  const there = walled.registry('main').members(0)
  assert.ok(there instanceof Promise)
  assert.deepEqual(await there, here)
  assert.notEqual(await there, here)
})

test('the strict wall refuses what could not travel, in and out', async () => {
  const { actors } = rig({ workers: [{ url: 'http://a:1', models: ['m'] }] })
  const walled = strict(actors)
  const withFunction = { ...ask(), decide: () => undefined } as unknown as Ask
  await assert.rejects(async () => walled.pool('main').pick(withFunction), { name: 'DataCloneError' })
  const leaky = { take: () => () => 0 }
  const out = strict({ ...actors, limiter: () => leaky as never })
  await assert.rejects(
    async () => out.limiter('x').take({ tenant: 't', requestsPerMinute: 1, tokensPerMinute: 0 }, 1),
    { name: 'DataCloneError' },
  )
})

test('an actor behind the strict wall is no promise by itself', async () => {
  const walled = strict(rig().actors).pool('main')
  assert.equal(await Promise.resolve(walled), walled)
})

test('what is stored is a copy, in and out', async () => {
  const storage = memoryStorage()
  const value = { list: [1] }
  await storage.put('key', value)
  value.list.push(2)
  const got = (await storage.get('key')) as typeof value
  assert.deepEqual(got, { list: [1] })
  got.list.push(3)
  assert.deepEqual(await storage.get('key'), { list: [1] })
  await storage.delete('key')
  assert.equal(await storage.get('key'), undefined)
})
