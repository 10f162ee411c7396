import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ById } from '../../src/actors/by-id.ts'

const IDS = ['', 'a', 'b', 'abcde', 'bbcde', 'cbcde', 'ä']
const step = fc.record({ kind: fc.constantFrom('add', 'delete'), id: fc.constantFrom(...IDS) })

test('it holds what a Map would hold, whatever comes and goes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const things = new ById<{ id: string; at: number }>()
      const model = new Map<string, { id: string; at: number }>()
      for (const [at, { kind, id }] of steps.entries()) {
        const thing = { id, at }
        if (kind === 'add') things.add(thing)
        else assert.equal(things.take(id), model.get(id))
        if (kind === 'add') model.set(id, thing)
        else model.delete(id)
        assert.equal(things.size, model.size)
        for (const one of IDS)
          assert.deepEqual([things.get(one), things.has(one)], [model.get(one), model.has(one)])
      }
      assert.deepEqual(new Set(things.values()), new Set(model.values()))
    }),
  )
})

test('each has a place of its own while it is there', () => {
  const things = new ById<{ id: string }>()
  const [a, b, c] = [{ id: 'a' }, { id: 'b' }, { id: 'c' }]
  const [first, second] = [things.join(a), things.join(b)]
  things.take('a')
  assert.deepEqual([things.at(first), things.at(second)], [undefined, b])
  assert.equal(things.at(things.join(c)), c)
  assert.equal(things.at(second), b)
})

test('what goes while all are looked at is seen once, and the others are not missed', () => {
  const things = new ById<{ id: string }>()
  for (const id of 'abcd') things.add({ id })
  const seen: string[] = []
  for (const { id } of things.values()) {
    seen.push(id)
    things.take(id)
  }
  assert.deepEqual([seen, things.size], [['a', 'b', 'c', 'd'], 0])
})

test('of many that end alike, and more than there was room for, each is found until it goes', () => {
  const things = new ById<{ id: string }>()
  const all = Array.from({ length: 300 }, (_, at) => ({ id: `${at}-${at % 7}end` }))
  for (const thing of all) things.add(thing)
  for (const thing of all.slice(0, 200)) assert.equal(things.take(thing.id), thing)
  for (const thing of all.slice(0, 100)) things.add(thing)
  const left = [...all.slice(0, 100), ...all.slice(200)]
  assert.deepEqual(
    all.filter(({ id }) => things.has(id)),
    left,
  )
  assert.deepEqual(
    left.map(({ id }) => things.get(id)),
    left,
  )
})
