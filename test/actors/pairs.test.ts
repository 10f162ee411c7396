// Pairs in a pool: whom it chooses, what each worker of a pair carries and for how long, and whose fault is whose.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ask, PairPlan, Plan } from '../../src/actors/ask.ts'
import type { Member } from '../../src/actors/members.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { policies } from '../../src/policies/policy.ts'
import { ask as anyAsk, chance, member, planOf, refusalOf, rig, type Rig } from './_pool.ts'

const PAIRS = { pairs: ['vllm', 'sglang', 'lmdeploy'] }
const ask = (change: Partial<Ask> = {}): Ask => anyAsk({ ...PAIRS, ...change })

const worker = (id: string, role: Member['role'], engine = 'vllm', change: Partial<Member> = {}): Member =>
  member(id, { role, ref: { id, url: `http://${id}`, engine }, ...change })

const FLEET = [
  worker('p1', 'prefill'),
  worker('p2', 'prefill'),
  worker('d1', 'decode'),
  worker('d2', 'decode'),
]

function pairOf(plan: Plan): PairPlan {
  if (plan.kind !== 'pair') throw new Error(`went to ${plan.worker.id} alone`)
  return plan
}

const idsOf = (plan: Plan) => (plan.kind === 'pair' ? `${plan.prefill.id} ${plan.worker.id}` : plan.worker.id)

const load = ({ pool }: Rig) =>
  Object.fromEntries(pool.view().workers.map((seat) => [seat.id, [seat.in_flight, seat.backlog_tokens]]))

const seat = ({ pool }: Rig, id: string) => pool.view().workers.find((one) => one.id === id)!

test('a pair carries the prompt on one worker and the call on the other, until the hand-over', async () => {
  const one = await rig({}, FLEET[0]!, FLEET[2]!)
  const given = ask({ tokens: 500 })
  const plan = pairOf(await planOf(one.pool.pick(given)))
  assert.deepEqual([idsOf(plan), plan.protocol], ['p1 d1', 'nixl'])
  assert.deepEqual(load(one), { p1: [1, 500], d1: [1, 0] })
  assert.equal(one.pool.view().in_flight, 1)
  one.pool.note([{ id: given.id, kind: 'handover', after: 20 }])
  assert.deepEqual(load(one), { p1: [0, 0], d1: [1, 0] })
  one.pool.note([{ id: given.id, kind: 'first', after: 30 }])
  one.pool.settle(given.id, { kind: 'done', status: 200 })
  assert.deepEqual(load(one), { p1: [0, 0], d1: [0, 0] })
  assert.deepEqual([seat(one, 'p1').served, seat(one, 'd1').served], [1, 1])
})

for (const [engine, pdProtocol, spoken] of [
  ['vllm', undefined, 'nixl'],
  ['vllm', 'mooncake', 'mooncake'],
  ['vllm', 'sglang', 'nixl'],
  ['sglang', undefined, 'sglang'],
  ['sglang', 'nixl_p2p', 'sglang'],
  ['sglang', 'plain', 'plain'],
  ['lmdeploy', 'nixl', 'distserve'],
  ['unknown', 'sglang', 'sglang'],
] as const)
  test(`a prefill worker that runs ${engine} hands over by ${spoken} where ${pdProtocol ?? 'nothing'} is configured`, async () => {
    const fleet = [worker('p', 'prefill', engine), worker('d', 'decode', engine)]
    const one = await rig(pdProtocol ? { pdProtocol } : {}, ...fleet)
    assert.equal(pairOf(await planOf(one.pool.pick(ask()))).protocol, spoken)
  })

for (const [how, end] of [
  ['ends before the note of its hand-over came', { kind: 'done', status: 200 }],
  ['is left by its client', { kind: 'left' }],
  ['fails', { kind: 'failed', failure: { kind: 'reset' } }],
] as const)
  test(`nothing stays with the prefill worker when a call ${how}`, async () => {
    const one = await rig({}, FLEET[0]!, FLEET[2]!)
    const given = ask()
    await one.pool.pick(given)
    one.pool.settle(given.id, end)
    one.pool.note([{ id: given.id, kind: 'handover', after: 20 }])
    assert.deepEqual(load(one), { p1: [0, 0], d1: [0, 0] })
  })

test('the first token is a hand-over, too', async () => {
  const one = await rig({}, FLEET[0]!, FLEET[2]!)
  const given = ask()
  await one.pool.pick(given)
  one.pool.note([{ id: given.id, kind: 'first', after: 20 }])
  assert.deepEqual(load(one)['p1'], [0, 0])
})

test('the same id again gets the same pair', async () => {
  const one = await rig({}, ...FLEET)
  const given = ask()
  assert.deepEqual(await one.pool.pick(given), await one.pool.pick(given))
  assert.equal(one.pool.view().leases, 1)
})

for (const policy of policies)
  test(`${policy.name}: two prefill and two decode workers are all used`, async (context) => {
    const one = await rig({ policy: policy.name as ConfigInput['policy'] }, ...FLEET)
    const used = new Set<string>()
    let seed = 0.5
    chance.next = () => (seed = (seed * 9301.7 + 0.3171) % 1)
    context.after(() => (chance.next = () => 0))
    for (let call = 0; call < 64; call++) {
      const prefix = Float64Array.from([call * 7919 + 1])
      const given = ask({ session: `s${call}`, prefix, promptBytes: 2000, tokens: 500 })
      const plan = pairOf(await planOf(one.pool.pick(given)))
      used.add(plan.prefill.id).add(plan.worker.id)
      // Some of them are long.
      if (call % 3 === 0) one.pool.settle(given.id, { kind: 'done', status: 200 })
    }
    const all = policy.name === 'passthrough' ? 2 : 4
    assert.ok(used.size >= all, `used ${[...used].join()}`)
  })

for (const [config, want] of [
  [{ policy: 'round_robin' }, ['p1 d1', 'p2 d2', 'p1 d1']],
  [{ policy: 'round_robin', prefillPolicy: 'passthrough' }, ['p1 d1', 'p1 d2', 'p1 d1']],
  [{ policy: 'round_robin', decodePolicy: 'passthrough' }, ['p1 d1', 'p2 d1', 'p1 d1']],
  [
    { policy: 'random', prefillPolicy: 'round_robin', decodePolicy: 'round_robin' },
    ['p1 d1', 'p2 d2', 'p1 d1'],
  ],
] as const)
  test(`policies by role: ${JSON.stringify(config)}`, async () => {
    const one = await rig(config, ...FLEET)
    const got: string[] = []
    for (let call = 0; call < want.length; call++) {
      const given = ask()
      got.push(idsOf(await planOf(one.pool.pick(given))))
      one.pool.settle(given.id, { kind: 'done', status: 200 })
    }
    assert.deepEqual(got, want)
  })

test('least_cost: prefill goes by the cache, decode by room and batch', async () => {
  const full = worker('d1', 'decode', 'vllm', { kvCapacityTokens: 1000 })
  const roomy = worker('d2', 'decode', 'vllm', { kvCapacityTokens: 100_000 })
  const one = await rig({ policy: 'least_cost' }, FLEET[0]!, FLEET[1]!, full, roomy)
  const prefix = Float64Array.from([1, 2, 3, 4])
  const call = () => ask({ prefix, promptBytes: 1024, tokens: 256 })
  const given = call()
  const first = pairOf(await planOf(one.pool.pick(given)))
  one.pool.note([{ id: given.id, kind: 'handover', after: 10 }])
  const again = pairOf(await planOf(one.pool.pick(call())))
  assert.equal(again.prefill.id, first.prefill.id, 'it has the prompt')
  assert.notEqual(again.worker.id, first.worker.id, 'the batch there is smaller')
  const large = pairOf(await planOf(one.pool.pick(ask({ tokens: 5000 }))))
  assert.equal(large.worker.id, 'd2', 'it has room')
})

test('engines are paired with their like, each in its own way', async () => {
  const fleet = [
    worker('ps', 'prefill', 'sglang'),
    worker('pl', 'prefill', 'lmdeploy'),
    worker('ds', 'decode', 'sglang'),
    worker('dl', 'decode', 'lmdeploy'),
    worker('pv', 'prefill', 'vllm'),
  ]
  const one = await rig({ policy: 'round_robin' }, ...fleet)
  const got = new Set<string>()
  for (let call = 0; call < 6; call++) {
    const plan = pairOf(await planOf(one.pool.pick(ask())))
    got.add(`${idsOf(plan)} ${plan.protocol}`)
  }
  assert.deepEqual(got, new Set(['ps ds sglang', 'pl dl distserve']))
})

test('a call that no engine can share goes to one worker', async () => {
  const one = await rig({}, ...FLEET)
  assert.match(idsOf(await planOf(one.pool.pick(anyAsk()))), /^d[12]$/)
  const mixed = await rig({}, ...FLEET, worker('m', 'mixed'))
  assert.equal(idsOf(await planOf(mixed.pool.pick(anyAsk()))), 'm')
})

test('mixed workers stand in for a role that has nobody, unless they may not', async () => {
  const fleet = [...FLEET.slice(0, 1), FLEET[2]!, worker('m', 'mixed')]
  for (const [pdStandIn, want] of [
    [true, 'm'],
    [false, null],
  ] as const) {
    const one = await rig({ pdStandIn, breakerFailures: 1, retries: 0 }, ...fleet)
    const given = ask()
    assert.equal(idsOf(await planOf(one.pool.pick(given))), 'p1 d1')
    one.pool.settle(given.id, { kind: 'failed', failure: { kind: 'reset', leg: 'prefill' } })
    assert.deepEqual([seat(one, 'p1').breaker, seat(one, 'd1').breaker], ['open', 'closed'])
    const next = one.pool.pick(ask())
    if (want) assert.equal(idsOf(await planOf(next)), want)
    else {
      const refusal = await refusalOf(next)
      assert.equal(refusal.code, 'no_workers')
      assert.match(refusal.message, /prefill worker/)
    }
  }
})

test('the hand-over is skipped where little is left to compute, by engines that can', async () => {
  const prefix = Float64Array.from([1, 2, 3, 4])
  const long = { prefix, promptBytes: 1024, tokens: 256 }
  for (const [engine, want] of [
    ['vllm', 'd1'],
    ['sglang', 'p1 d1'],
  ] as const) {
    const fleet = [worker('p1', 'prefill', engine), worker('d1', 'decode', engine)]
    const one = await rig({ pdSkipBelow: 100 }, ...fleet)
    assert.equal(idsOf(await planOf(one.pool.pick(ask(long)))), 'p1 d1', 'nobody has it yet')
    assert.equal(idsOf(await planOf(one.pool.pick(ask(long)))), want, 'the decode worker has it now')
    assert.equal(idsOf(await planOf(one.pool.pick(ask({ tokens: 50 })))), want, 'it is short')
  }
})

test('a leg that fails is blamed alone, and its mate may be chosen again', async () => {
  const one = await rig({ policy: 'round_robin', breakerFailures: 1 }, ...FLEET)
  const given = ask()
  assert.equal(idsOf(await planOf(one.pool.pick(given))), 'p1 d1')
  const next = pairOf(await planOf(one.pool.repick({ kind: 'reset', leg: 'prefill' }, given)))
  assert.deepEqual([next.prefill.id, next.attempt], ['p2', 2])
  assert.deepEqual([seat(one, 'p1').failed, seat(one, 'd1').failed], [1, 0])
  assert.deepEqual([seat(one, 'p1').breaker, seat(one, 'd1').breaker], ['open', 'closed'])
  const refusal = await refusalOf(one.pool.repick({ kind: 'reset' }, given))
  assert.match(refusal.message, /every attempt failed/, 'a pair is sent again once')
  assert.equal(seat(one, 'p2').failed, 0)
  for (const [inFlight, backlog] of Object.values(load(one))) assert.deepEqual([inFlight, backlog], [0, 0])
})

test('workers that were never reached may be tried as often as others', async () => {
  const one = await rig({ retries: 3 }, ...FLEET)
  const given = ask()
  await one.pool.pick(given)
  for (let attempt = 2; attempt <= 4; attempt++) {
    const plan = await planOf(one.pool.repick({ kind: 'connect', leg: 'prefill' }, given))
    assert.equal(plan.attempt, attempt)
  }
})

test('a call waits for room on either leg', async () => {
  const one = await rig({ maxInFlightPerWorker: 1 }, FLEET[0]!, FLEET[2]!, FLEET[3]!)
  const first = ask()
  await one.pool.pick(first)
  const waiting = one.pool.pick(ask())
  assert.ok(waiting instanceof Promise)
  one.pool.note([{ id: first.id, kind: 'handover', after: 5 }])
  // Room on the prefill worker lets it in: the other decode worker is free.
  assert.equal(idsOf(await planOf(waiting)), 'p1 d2')
})

test('what prefill told of its cache corrects what is believed of it, not of its mate', async () => {
  const one = await rig({ policy: 'least_cost' }, FLEET[0]!, FLEET[2]!)
  const prefix = Float64Array.from([1, 2, 3, 4])
  const call = () => ask({ prefix, promptBytes: 1024, tokens: 256 })
  for (const cachedTokens of [0, 200]) {
    const given = call()
    await one.pool.pick(given)
    const usage = { promptTokens: 256, cachedTokens, completionTokens: 1, estimated: false }
    one.pool.note([{ id: given.id, kind: 'handover', after: 5, usage }])
    one.pool.settle(given.id, { kind: 'done', status: 200, usage: { ...usage, completionTokens: 9 } })
  }
  assert.equal(seat(one, 'p1').cached_tokens, 200)
  assert.equal(seat(one, 'd1').cached_tokens, 0)
})

test('why a pair was chosen can be asked for', async () => {
  const one = await rig({}, FLEET[0]!, FLEET[2]!, worker('m', 'mixed'))
  const given = ask()
  await one.pool.pick(given)
  const view = one.pool.decision(given.id)!
  assert.deepEqual([view.worker, view.prefill], ['d1', 'p1'])
  assert.deepEqual(
    view.candidates.map((candidate) => candidate.worker),
    ['d1'],
  )
  assert.deepEqual(
    view.exclusions.map(({ worker: id, reason }) => `${id} ${reason}`),
    ['m role_mixed', 'p1 role_prefill'],
  )
})
