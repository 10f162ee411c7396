import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Note, Renewal } from '../../src/actors/ask.ts'
import { Life, Notes } from '../../src/forward/notes.ts'
import type { Host } from '../../src/host.ts'
import { createClock, settle } from '../_clock.ts'

function setUp(isPerRequest: boolean) {
  const clock = createClock()
  const renewed: (readonly Renewal[])[] = []
  const noted: (readonly Note[])[] = []
  const note = (notes: readonly Note[]) => void noted.push(notes)
  const pool = { note, renew: (renewals: readonly Renewal[]) => void renewed.push(renewals) }
  const host = { isPerRequest, timer: clock.timer, pool: () => pool, after() {} } as unknown as Host
  return { notes: new Notes(host), clock, renewed, noted }
}

for (const isPerRequest of [false, true]) {
  const where = isPerRequest ? 'where each request has its own timers' : 'all together'

  test(`a call that goes on is renewed each minute with its worker, its tokens and its phase, ${where}`, async () => {
    const { notes, clock, renewed } = setUp(isPerRequest)
    const life = new Life({ id: 'd-1', tokens: 400 })
    notes.began(life)
    life.worker = 'a'
    await clock.advance(60_000)
    assert.deepEqual(renewed.flat(), [{ id: 'd-1', worker: 'a', tokens: 400, isDecoding: false }])
    life.isDecoding = true
    await clock.advance(60_000)
    assert.deepEqual(renewed.flat()[1], { id: 'd-1', worker: 'a', tokens: 400, isDecoding: true })
    notes.ended(life)
    await clock.advance(300_000)
    assert.equal(renewed.flat().length, 2)
  })

  test(`a call that has no worker now is not renewed, ${where}`, async () => {
    const { notes, clock, renewed } = setUp(isPerRequest)
    const life = new Life({ id: 'd-1', tokens: 400 })
    notes.began(life)
    await clock.advance(60_000)
    life.worker = 'a'
    life.worker = null
    await clock.advance(60_000)
    assert.deepEqual(renewed.flat(), [])
    life.worker = 'b'
    await clock.advance(60_000)
    assert.equal(renewed.flat()[0]?.worker, 'b')
    notes.ended(life)
  })
}

test('those that are left when others have ended are renewed, each once, and an end that is told twice takes nobody else along', async () => {
  const { notes, clock, renewed } = setUp(false)
  const lives = ['a', 'b', 'c', 'd'].map((id) => new Life({ id, tokens: 1 }))
  for (const life of lives) {
    notes.began(life)
    life.worker = 'w'
  }
  for (const at of [0, 2, 0, 2]) notes.ended(lives[at]!)
  await clock.advance(60_000)
  assert.deepEqual(
    renewed
      .flat()
      .map(({ id }) => id)
      .toSorted(),
    ['b', 'd'],
  )
})

test('calls one behind the other share a timer, which rings for nothing once', async () => {
  const { notes, clock, renewed } = setUp(false)
  for (let i = 0; i < 9; i++) {
    const life = new Life({ id: `d-${i}`, tokens: 1 })
    notes.began(life)
    life.worker = 'w'
    notes.ended(life)
    assert.equal(clock.pending, 1)
    await clock.advance(1000)
  }
  await clock.advance(60_000)
  assert.equal(clock.pending, 0)
  assert.deepEqual(renewed, [])
})

const NEWS = [
  { id: 'd-1', kind: 'first', after: 30 },
  { id: 'd-1', kind: 'state', state: 'resp_1' },
] as const

test('news is told at once, without a timer', () => {
  const { notes, clock, noted } = setUp(false)
  for (const [index, one] of NEWS.entries()) {
    notes.add(one)
    assert.deepEqual(noted[index], [one])
  }
  assert.equal(clock.pending, 0)
})

test('where the pool is far, news of one turn is one call', async () => {
  const { notes, noted } = setUp(true)
  for (let turn = 1; turn <= 2; turn++) {
    for (const one of NEWS) notes.add(one)
    await settle()
    assert.deepEqual(
      noted,
      Array.from({ length: turn }, () => [...NEWS]),
    )
  }
})
