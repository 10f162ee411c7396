import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDoor, remoteActors, type Actors, type Door } from '../../../../adapters/node/threads/home.ts'
import type { Line } from '../../../../adapters/node/threads/line.ts'
import { createCells, clearCell, sharedTally } from '../../../../adapters/node/threads/tally.ts'
import type { Note, Pick as Picked } from '../../../../src/actors/ask.ts'
import type { Pool } from '../../../../src/actors/pool.ts'
import { BodyBudget } from '../../../../src/admission/body.ts'
import { ask, member, planOf, rig } from '../../../actors/_pool.ts'

const doorTo = (pool: Pool): Door => openDoor({ pool: () => pool } as unknown as Actors)

type Found = Readonly<Record<string, (...args: unknown[]) => Picked | Promise<Picked>>>
const poolOf = (door: Door) => door.find('pool', 'main') as unknown as Found
const pick = (door: Door, id: string) => poolOf(door)['pick']?.(ask({ id })) as Picked | Promise<Picked>

test('a thread that is gone leaves no lease and no waiter behind, and those of others stay', async () => {
  const { pool } = await rig({ maxInFlight: 2 }, member('w'))
  const [one, two] = [doorTo(pool), doorTo(pool)]
  await planOf(pick(one, 'a'))
  await planOf(pick(two, 'b'))
  void pick(one, 'waits-in-one')
  const waiting = pick(two, 'waits-in-two')
  one.close()
  assert.equal((await planOf(waiting)).worker.id, 'w')
  const { leases, queued } = pool.view()
  assert.deepEqual({ leases, queued }, { leases: 2, queued: 0 })
})

test('what a thread has settled itself is not settled for it', async () => {
  const { pool } = await rig({}, member('w'))
  const [one, two] = [doorTo(pool), doorTo(pool)]
  await planOf(pick(one, 'a'))
  void poolOf(one)['settle']?.('a', { kind: 'done', status: 200 })
  // The same id again: only to see that nobody settles it.
  await planOf(pick(two, 'a'))
  one.close()
  assert.equal(pool.view().leases, 1)
})

test('a retry of a thread that is gone is freed, too', async () => {
  const { pool } = await rig({}, member('w'), member('v'))
  const door = doorTo(pool)
  await planOf(pick(door, 'a'))
  await planOf(poolOf(door)['repick']?.({ kind: 'connect' }, ask({ id: 'a' })) as Picked)
  door.close()
  assert.equal(pool.view().leases, 0)
})

test('a decision that comes when its thread is gone holds nothing', async () => {
  let decide: (pick: Picked) => void = () => {}
  const settled: string[] = []
  const late = {
    pick: () => new Promise<Picked>((resolve) => (decide = resolve)),
    settle: (id: string) => settled.push(id),
  }
  const door = doorTo(late as unknown as Pool)
  const picked = pick(door, 'a')
  door.close()
  const { pool } = await rig({}, member('w'))
  decide({ plan: await planOf(pool.pick(ask())) })
  await picked
  assert.deepEqual(settled, ['a', 'a'], 'once as the thread went, and once as the decision came')
})

test('threads share one budget; what one held that is gone is given back', () => {
  const cells = createCells(2)
  const [one, two] = [
    new BodyBudget(1000, sharedTally(cells, 0)),
    new BodyBudget(1000, sharedTally(cells, 1)),
  ]
  one.reserve(700)
  assert.throws(() => two.reserve(400), { code: 'buffers_full' })
  assert.deepEqual([one.used, two.used], [700, 700])
  clearCell(cells, 0)
  two.reserve(400)
  assert.equal(one.used, 400)
})

test('news of calls goes over together, and is told once', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const said: unknown[][] = []
  const line = { cast: (...call: unknown[]) => void said.push(call) } as unknown as Line
  const { pool } = remoteActors(line)
  const news = ['a', 'b', 'c'].map((id): Note => ({ id, kind: 'first', after: 5 }))
  for (const one of news) void pool('main').note([one])
  assert.deepEqual(said, [])
  t.mock.timers.tick(10)
  assert.deepEqual(said, [['pool', 'main', 'note', [news]]])
  void pool('main').note(news)
  t.mock.timers.tick(1000)
  assert.equal(said.length, 2)
})
