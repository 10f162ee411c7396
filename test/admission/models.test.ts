import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Directory, ModelEntry } from '../../src/actors/members.ts'
import { Models } from '../../src/admission/models.ts'
import type { Host } from '../../src/host.ts'
import { settle } from '../_clock.ts'

const entry = (id: string): ModelEntry => ({ id, engines: ['vllm'], createdAt: 0 })

function rig() {
  let time = 0
  let current: Directory = { version: 1, models: [entry('a')], wildcard: false, pending: 0, workers: 1 }
  let pulls = 0
  let gate: Promise<unknown> = Promise.resolve()
  let onSettled = () => {}
  let settledCalls = 0
  let onLook = () => {}
  const registry = {
    directory: async (since: number) => {
      pulls++
      await gate
      return since === current.version ? null : current
    },
    look: async () => onLook(),
    settled: () => {
      settledCalls++
      return new Promise<void>((resolve) => (onSettled = resolve))
    },
  }
  const host = {
    now: () => time,
    after: (work: Promise<unknown>) => void work,
    registry: () => registry,
  } as unknown as Host
  return {
    models: new Models(host),
    set: (change: Partial<Directory>) => {
      current = { ...current, ...change, version: current.version + 1 }
    },
    pass: (ms: number) => (time += ms),
    pulls: () => pulls,
    /** What the workers turn out to have when they are asked anew. */
    atLook: (run: () => void) => (onLook = run),
    settledCalls: () => settledCalls,
    settled: () => onSettled(),
    /** Answers wait until the function returned is called. */
    hold() {
      let open!: () => void
      gate = new Promise<void>((resolve) => (open = resolve))
      return open
    },
  }
}

test('a model that is known asks nobody for a second', async () => {
  const { models, pulls, pass } = rig()
  assert.equal((await models.find('a'))?.id, 'a')
  for (let i = 0; i < 10; i++) await models.find('a')
  assert.equal(pulls(), 1)
  pass(1000)
  assert.equal((await models.find('a'))?.id, 'a')
  await models.find('a')
  assert.equal(pulls(), 2)
})

test('a known model is answered at once while a newer directory is on its way', async () => {
  const { models, hold, pass, set } = rig()
  await models.find('a')
  pass(1000)
  set({ models: [entry('b')] })
  const open = hold()
  assert.equal((await models.find('a'))?.id, 'a')
  open()
  await settle()
  assert.equal(await models.find('a'), null)
  assert.equal((await models.find('b'))?.id, 'b')
})

test('an unknown model is looked for again each time', async () => {
  const { models, set } = rig()
  assert.equal(await models.find('b'), null)
  set({ models: [entry('a'), entry('b')] })
  assert.equal((await models.find('b'))?.id, 'b')
})

test('before a model is called unknown the workers are asked for it: an adapter may be new', async () => {
  const { models, set, atLook } = rig()
  atLook(() => set({ models: [entry('a'), entry('adapter')] }))
  assert.equal((await models.find('adapter'))?.id, 'adapter')
})

test('many calls that look at once share one question', async () => {
  const { models, pulls, hold } = rig()
  const open = hold()
  const finds = Array.from({ length: 50 }, () => models.find('a'))
  open()
  assert.ok((await Promise.all(finds)).every((found) => found?.id === 'a'))
  assert.equal(pulls(), 1)
})

test('before it says that there is no such model it waits for workers that were not asked yet', async () => {
  const { models, set, settled, settledCalls } = rig()
  set({ models: [], pending: 1 })
  const found = models.find('late')
  await settle()
  assert.equal(settledCalls(), 1)
  set({ models: [entry('late')], pending: 0 })
  settled()
  assert.equal((await found)?.id, 'late')
})

test('a failed question does not stay: the next call asks again', async () => {
  let isDown = true
  const host = {
    now: () => 0,
    registry: () => ({
      directory: async () => {
        if (isDown) throw new Error('reset')
        return { version: 1, models: [entry('a')], wildcard: false, pending: 0, workers: 1 }
      },
    }),
  } as unknown as Host
  const models = new Models(host)
  await assert.rejects(models.find('a'), /reset/)
  isDown = false
  assert.equal((await models.find('a'))?.id, 'a')
})

test('labels know only models that exist', async () => {
  const { models } = rig()
  await models.refresh()
  assert.deepEqual([models.known('a'), models.known('made-up'), models.known(null)], ['a', '', ''])
})
