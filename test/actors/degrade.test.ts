import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Remote } from '../../src/actors/actor.ts'
import type { Pick, Plan } from '../../src/actors/ask.ts'
import { degrading } from '../../src/actors/degrade.ts'
import type { Member } from '../../src/actors/members.ts'
import type { Pool } from '../../src/actors/pool.ts'
import type { Registry } from '../../src/actors/registry.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { ask, member } from './_pool.ts'

const RESET = { kind: 'reset' } as const

/** A pool that fails as often as `failures` says, with members that the registry knows (null: it can't be reached either). */
function rig(
  config: ConfigInput,
  members: Member[] | null,
  failures = Infinity,
  error: object = new Error('reset'),
) {
  const calls: string[] = []
  let left = failures
  const answer = (method: string, value: unknown) => () => {
    calls.push(method)
    if (left-- > 0) throw error as Error
    return value
  }
  const plan = { kind: 'single', worker: member('w0').ref, decision: 'd', attempt: 1, waited: 0, delay: 0 }
  const pool = {
    pick: answer('pick', { plan }),
    repick: answer('repick', { plan }),
    settle: answer('settle', undefined),
    view: answer('view', { workers: [] }),
  }
  const registry = {
    members: () => {
      if (members === null) throw new Error('reset')
      return { version: 1, members }
    },
  }
  const logged: string[] = []
  const safe = degrading({
    pool: () => pool as unknown as Remote<Pool>,
    registry: () => registry as unknown as Remote<Registry>,
    config: configSchema.parse(config),
    log: ({ message }) => logged.push(message),
  })('main')
  return { pool: safe, calls, logged }
}

function planOf(pick: Pick): Plan {
  assert.ok('plan' in pick, JSON.stringify(pick))
  return pick.plan
}

test('a pool that answers decides', async () => {
  const { pool, calls } = rig({}, [member('a')], 0)
  const plan = planOf(await pool.pick(ask()))
  assert.deepEqual([plan.worker.id, plan.isDegraded, calls.length], ['w0', undefined, 1])
})

test('a pool that fails once is asked again by the same id', async () => {
  const { pool, calls } = rig({}, [member('a')], 1)
  assert.equal(planOf(await pool.pick(ask())).worker.id, 'w0')
  assert.deepEqual(calls, ['pick', 'pick'])
})

test('an overloaded pool is not asked again', async () => {
  const { pool, calls } = rig(
    {},
    [member('a')],
    Infinity,
    Object.assign(new Error('busy'), { overloaded: true }),
  )
  assert.equal(planOf(await pool.pick(ask())).isDegraded, true)
  assert.deepEqual(calls, ['pick'])
})

test('without a pool a worker of those that serve the call is chosen, and that is told', async () => {
  const members = [member('a', { models: ['other'] }), member('b', { draining: true }), member('c')]
  const { pool, logged } = rig({}, members)
  const plan = planOf(await pool.pick(ask()))
  assert.deepEqual([plan.worker.id, plan.isDegraded, plan.attempt], ['c', true, 1])
  assert.equal(logged.length, 1)
})

test('a session stays with its worker, and calls spread over all', async () => {
  const { pool } = rig({}, [member('a'), member('b'), member('c')])
  const chosen = async (session: string | null) => planOf(await pool.pick(ask({ session }))).worker.id
  const owner = await chosen('s')
  for (let round = 0; round < 5; round++) assert.equal(await chosen('s'), owner)
  const owners = await Promise.all(Array.from({ length: 60 }, () => chosen(null)))
  assert.equal(new Set(owners).size, 3)
})

test('a retry goes to another worker, as often as the configuration allows', async () => {
  const { pool } = rig({ retries: 1 }, [member('a'), member('b')])
  const call = ask()
  const first = planOf(await pool.pick(call))
  const second = planOf(await pool.repick(RESET, call))
  assert.notEqual(second.worker.id, first.worker.id)
  assert.equal(second.attempt, 2)
  const third = await pool.repick(RESET, call)
  assert.ok('refusal' in third && third.refusal.code === 'no_retry')
})

test('what may have made state is not sent again', async () => {
  const { pool } = rig({}, [member('a'), member('b')])
  const call = ask({ makesState: true })
  await pool.pick(call)
  assert.ok('refusal' in (await pool.repick(RESET, call)))
  assert.ok('plan' in (await pool.repick({ kind: 'connect' }, call)))
})

test('a pool that is lost between two attempts does not send the call to the worker that failed', async () => {
  const call = ask()
  const pool = lostAfterPick()
  const first = planOf(await pool.pick(call))
  const second = planOf(await pool.repick(RESET, call))
  assert.deepEqual([first.worker.id, second.worker.id], ['w0', 'a'])
})

test('without a pool, too, a call goes to a pair where workers have roles, and else never to a prefill worker', async () => {
  const members = [
    member('p', { role: 'prefill' }),
    member('d', { role: 'decode' }),
    member('d2', { role: 'decode' }),
  ]
  const { pool } = rig({}, members)
  const call = ask({ pairs: ['vllm'] })
  const first = planOf(await pool.pick(call))
  assert.equal(first.kind === 'pair' && first.prefill.id, 'p')
  const second = planOf(await pool.repick(RESET, call))
  assert.equal(second.kind === 'pair' && second.worker.id !== first.worker.id, true)
  const alone = planOf(await pool.pick(ask()))
  assert.deepEqual([alone.kind, alone.worker.id.startsWith('d')], ['single', true])
})

/** Picks once, then is gone. */
function lostAfterPick(): Remote<Pool> {
  const plan = { kind: 'single', worker: member('w0').ref, decision: 'd', attempt: 1, waited: 0, delay: 0 }
  const repick = () => Promise.reject(new Error('reset'))
  return degrading({
    pool: () => ({ pick: () => ({ plan }), repick }) as unknown as Remote<Pool>,
    registry: () =>
      ({
        members: () => ({ version: 1, members: [member('w0'), member('a')] }),
      }) as unknown as Remote<Registry>,
    config: configSchema.parse({}),
    log() {},
  })('main')
}

test('without a registry either, the workers of the configuration serve', async () => {
  const { pool } = rig({ workers: ['http://a:1'] }, null)
  assert.equal(planOf(await pool.pick(ask())).worker.url, 'http://a:1')
})

test('without any worker the call is refused, not failed', async () => {
  const { pool } = rig({}, [])
  const pick = await pool.pick(ask())
  assert.ok('refusal' in pick && pick.refusal.status === 503)
})

test('what is no decision fails as the pool does', async () => {
  const { pool, calls } = rig({}, [member('a')])
  await assert.rejects(async () => pool.view())
  assert.deepEqual(calls, ['view', 'view'])
})

test('the pool hears at the end which workers were chosen without it', async () => {
  const settled: unknown[] = []
  let isLost = true
  const lost = () => {
    if (isLost) throw new Error('reset')
    return { plan: { worker: member('a').ref } }
  }
  const pool = { pick: lost, settle: (...given: unknown[]) => void settled.push(given) }
  const registry = { members: () => ({ version: 1, members: [member('a')] }) }
  const degraded = degrading({
    pool: () => pool as unknown as Remote<Pool>,
    registry: () => registry as unknown as Remote<Registry>,
    config: configSchema.parse({}),
    log() {},
  })('main')
  const [alone, together] = [ask(), ask()]
  await degraded.pick(alone)
  isLost = false
  await degraded.pick(together)
  for (const { id } of [alone, together]) await degraded.settle(id, { kind: 'done', status: 200 })
  assert.deepEqual(settled, [
    [alone.id, { kind: 'done', status: 200, alone: ['a'] }],
    [together.id, { kind: 'done', status: 200 }],
  ])
})
