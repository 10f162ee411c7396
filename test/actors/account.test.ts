import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, member, planOf, rig } from './_pool.ts'

const prefix = Float64Array.from({ length: 8 }, (_, i) => i + 1)

test('what another router decided weighs here, under its own id, until it is settled', async () => {
  const { pool } = await rig({ policy: 'least_load' }, member('a'), member('b'))
  const theirs = [ask({ id: 'x' }), ask({ id: 'y' })]
  const decided = theirs.map((one) => ({ ask: one, worker: 'a' }))
  pool.follow(decided)
  pool.follow(decided)
  const seat = () => pool.view().workers.find(({ id }) => id === 'a')
  assert.equal(seat()?.in_flight, 2)
  assert.equal(seat()?.backlog_tokens, 200)
  assert.equal((await planOf(pool.pick(ask()))).worker.id, 'b')
  pool.note([{ id: 'x', kind: 'first', after: 30 }])
  assert.equal(seat()?.backlog_tokens, 100)
  for (const { id } of theirs) pool.settle(id, { kind: 'done', status: 200 })
  assert.equal(seat()?.in_flight, 0)
  assert.equal(seat()?.backlog_tokens, 0)
})

test('what another router sent is known to be there', async () => {
  const { pool } = await rig({ policy: 'least_cost' }, member('a'), member('b'), member('c'))
  for (const worker of ['a', 'b', 'c']) {
    const own = prefix.map((hash) => hash + worker.charCodeAt(0) * 100)
    const theirs = ask({ id: worker, prefix: own, promptBytes: 2048, tokens: 512 })
    pool.follow([{ ask: theirs, worker }])
    pool.settle(worker, { kind: 'done', status: 200 })
    const next = ask({ prefix: own, promptBytes: 2048, tokens: 512 })
    assert.equal((await planOf(pool.pick(next))).worker.id, worker)
  }
})

test('workers that are not known here are passed over', async () => {
  const { pool } = await rig({}, member('a'))
  pool.follow([{ ask: ask(), worker: 'elsewhere' }])
  assert.equal(pool.view().leases, 0)
})
