import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IndexKeeper, type KeeperSeams } from '../../src/actors/index-keeper.ts'
import { memoryStorage } from '../../src/actors/local.ts'
import { PrefixView } from '../../src/actors/view.ts'

const MINUTE = 60_000
const upTo = (count: number, from = 1) => Float64Array.from({ length: count }, (_, at) => from + at)

/** Incarnations of one pool over one storage, with a clock of our own. */
function world(keepsIndex = true) {
  const storage = memoryStorage()
  let at = 1e12
  let writes = 0
  const work: Promise<unknown>[] = []
  const seams: KeeperSeams = {
    storage: { ...storage, put: (key, value) => (writes++, storage.put(key, value)) },
    now: () => at,
    after: (one) => void work.push(one),
    log: () => undefined,
    keepsIndex,
  }
  return {
    begin(...workers: string[]) {
      const view = new PrefixView(1024 * 1024, 30_000)
      for (const id of workers) view.join(id, Infinity)
      return { view, keeper: new IndexKeeper(seams, view) }
    },
    pass: (ms: number) => void (at += ms),
    rests: async () => void (await Promise.all(work.splice(0))),
    writes: () => writes,
  }
}

const matches = (view: PrefixView, path: Float64Array, ...workers: string[]) => {
  view.look(path)
  return workers.map((id) => view.depthOf(id))
}

test('the next incarnation knows what the last one did, of the workers that are still there', async () => {
  const { begin, pass, rests } = world()
  const before = begin('a', 'b')
  before.view.hold('a', upTo(20), 0)
  before.view.hold('b', upTo(7), 0)
  pass(MINUTE)
  before.keeper.save()
  await rests()
  const next = begin('c', 'b')
  next.keeper.restore()
  await rests()
  assert.deepEqual(matches(next.view, upTo(20), 'b', 'c'), [7, 0])
})

test('it is written once a minute at most, and only when something came by', async () => {
  const { begin, pass, rests, writes } = world()
  const { view, keeper } = begin('a')
  const alarms: number[] = []
  for (let alarm = 0; alarm < 12; alarm++) {
    if (alarm < 6) view.hold('a', upTo(5, alarm), 0)
    pass(MINUTE / 2)
    keeper.save()
    await rests()
    alarms.push(writes())
  }
  assert.deepEqual(alarms, [0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3])
})

test('an old snapshot is left, and homes that end with their process keep none', async () => {
  const old = world()
  const before = old.begin('a')
  before.view.hold('a', upTo(5), 0)
  old.pass(MINUTE)
  before.keeper.save()
  await old.rests()
  old.pass(16 * MINUTE)
  const next = old.begin('a')
  next.keeper.restore()
  await old.rests()
  assert.deepEqual(matches(next.view, upTo(5), 'a'), [0])

  const here = world(false)
  const one = here.begin('a')
  one.view.hold('a', upTo(5), 0)
  here.pass(MINUTE)
  one.keeper.save()
  assert.equal(here.writes(), 0)
})

test('what it keeps fits into one value of a Durable Object', () => {
  const view = new PrefixView(64 * 1024 * 1024, 30_000)
  for (let worker = 0; worker < 16; worker++) view.join(`w${worker}`, Infinity)
  for (let call = 0; call < 2000; call++) view.hold(`w${call % 16}`, upTo(100, call * 1000), 0)
  const { rows, blocks } = view.save(96 * 1024)
  assert.ok(rows.byteLength + blocks.byteLength <= 96 * 1024)
  assert.ok(rows.byteLength + blocks.byteLength > 90 * 1024)
})
