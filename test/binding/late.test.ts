import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema } from '../../src/config/schema.ts'
import { ask, member } from '../actors/_pool.ts'
import { bindings, lateRig, teach, type LateRig, type Sent } from './_late.ts'

const where = (...sent: readonly Sent[]): string => sent.map((one) => one.where).join(' ')

test('calls go as they come until a worker was seen to read in order; then they wait', async () => {
  const late = await lateRig({}, [], member('a'))
  const both = [await late.send({ tokens: 2000 }), await late.send({ tokens: 2000 })]
  assert.equal(where(...both), 'a a')
  assert.deepEqual(bindings(late), ['learning'])
  for (const sent of both) await late.end(sent)
  await teach(late, 'a', false)
  assert.deepEqual(bindings(late), ['late'])
  assert.equal(where(await late.send({ tokens: 2000 }), await late.send({ tokens: 2000 })), 'a …')
})

test('binding is early unless it is asked for', async () => {
  const late = await lateRig({ binding: 'early' }, ['a'])
  assert.equal(where(await late.send({ tokens: 2000 }), await late.send({ tokens: 2000 })), 'a a')
  assert.deepEqual(bindings(late), ['early'])
})

test('a call goes when the first token of the one ahead comes, and its decision says for what it waited', async () => {
  const late = await lateRig({}, ['a'])
  const ahead = await late.send({ tokens: 2000 })
  const behind = await late.send({ tokens: 1000 })
  await late.clock.advance(2300)
  assert.equal(where(ahead, behind), 'a …')
  assert.equal(late.pool.view().queued, 1)
  await late.first(ahead)
  assert.equal(where(behind), 'a')
  const [one, two] = [late.pool.decision(ahead.id), late.pool.decision(behind.id)]
  assert.deepEqual([one?.waited_ms, one?.waited_for], [0, null])
  assert.deepEqual([two?.waited_ms, two?.waited_for], [2300, 'backlog'])
})

test('it goes a little before, when the worker should have nearly read what it was sent, though nothing happens', async () => {
  const late = await lateRig({}, ['a'])
  const ahead = await late.send({ tokens: 500 })
  const behind = await late.send({ tokens: 500 })
  await late.clock.advance(350)
  assert.equal(where(ahead, behind), 'a …')
  await late.clock.advance(100)
  assert.equal(where(behind), 'a')
  assert.equal(late.clock.pending, 1, 'only the alarm is left')
})

/** Goes through those that wait, one first token after the other. */
async function served(late: LateRig, first: Sent, waiting: readonly Sent[]): Promise<string> {
  const order: number[] = []
  let current: Sent | undefined = first
  while (current) {
    await late.clock.advance(3000)
    await late.first(current)
    await late.end(current)
    const before: readonly number[] = [...order]
    const next = waiting.findIndex(({ where: at }, i) => at !== '…' && !before.includes(i))
    current = next < 0 ? undefined : waiting[next]
    if (next >= 0) order.push(next)
  }
  return order.join()
}

const ORDERS: readonly (readonly [
  string,
  object,
  readonly (readonly [number, Parameters<typeof ask>[0]])[],
  string,
])[] = [
  [
    'the shortest first',
    {},
    [
      [0, { tokens: 1500 }],
      [0, { tokens: 200 }],
      [0, { tokens: 800 }],
    ],
    '1,2,0',
  ],
  [
    'equals as they came',
    {},
    [
      [0, { tokens: 800 }],
      [10, { tokens: 800 }],
      [10, { tokens: 800 }],
    ],
    '0,1,2',
  ],
  [
    'a long one is overtaken for ten times its length',
    {},
    [
      [0, { tokens: 1500 }],
      [1400, { tokens: 300 }],
    ],
    '1,0',
  ],
  [
    'but no longer than the bound',
    { bindingFairness: 1 },
    [
      [0, { tokens: 1500 }],
      [1400, { tokens: 300 }],
    ],
    '0,1',
  ],
  [
    'as they came without it',
    { bindingFairness: 0 },
    [
      [0, { tokens: 1500 }],
      [5, { tokens: 300 }],
    ],
    '0,1',
  ],
  [
    'priority before length',
    {},
    [
      [0, { tokens: 300, priority: 1 }],
      [0, { tokens: 1500 }],
    ],
    '1,0',
  ],
  [
    'tenants in turn, each with its shortest',
    {},
    [
      [0, { tokens: 900 }],
      [0, { tokens: 1000 }],
      [0, { tokens: 1100, tenant: 'other' }],
    ],
    '0,2,1',
  ],
]
for (const [name, config, asks, order] of ORDERS)
  test(`who waits goes in this order: ${name}`, async () => {
    const late = await lateRig(config, ['a'])
    const first = await late.send({ tokens: 2000 })
    const waiting: Sent[] = []
    for (const [after, change] of asks) {
      await late.clock.advance(after)
      waiting.push(await late.send(change ?? {}))
    }
    assert.equal(where(...waiting), waiting.map(() => '…').join(' '))
    assert.equal(await served(late, first, waiting), order)
  })

test('a call waits for the worker that has its prompt, and who comes later does not take its place', async () => {
  const late = await lateRig({ costBeta: 'off' }, ['a', 'b'])
  const prefix = Float64Array.from({ length: 32 }, (_, i) => 1000 + i)
  const cached = { prefix, promptBytes: 8192, tokens: 2048 }
  const before = await late.send({ ...cached, pin: 'a' })
  await late.clock.advance(2100)
  await late.first(before)
  await late.end(before)
  const busy = await late.send({ tokens: 400, pin: 'a' })
  const again = await late.send(cached)
  assert.equal(where(busy, again), 'a …', 'b is idle, and would have to read it all')
  const other = await late.send({ tokens: 500 })
  assert.equal(where(again, other), '… b')
  await late.clock.advance(400)
  assert.equal(where(again), 'a')
})

test('when the holder is too far behind, it is computed anew elsewhere', async () => {
  const late = await lateRig({ costAlpha: 1 }, ['a', 'b'])
  const prefix = Float64Array.from({ length: 8 }, (_, i) => 1000 + i)
  const cached = { prefix, promptBytes: 2048, tokens: 512 }
  const before = await late.send({ ...cached, pin: 'a' })
  await late.clock.advance(600)
  await late.first(before)
  await late.end(before)
  const busy = await late.send({ tokens: 5000, pin: 'a' })
  assert.equal(where(busy, await late.send(cached)), 'a b')
})

test('who waits though there is room is never refused: not for the length of the queue, nor for its time', async () => {
  const late = await lateRig({ queueSize: 0 }, ['a'])
  const ahead = await late.send({ tokens: 2000 })
  const behind = await late.send({ tokens: 1000, queueUntil: late.clock.now() + 500 })
  assert.equal(where(ahead, behind), 'a …')
  await late.clock.advance(501)
  late.pool.expire()
  await late.clock.advance(0)
  assert.equal(where(behind), 'a')
})

test('when no worker has room, length and time of the queue count', async () => {
  const late = await lateRig({ queueSize: 1 }, ['a'], member('a', { maxInFlight: 2 }))
  const queueUntil = late.clock.now() + 500
  const two = [await late.send({ tokens: 200 }), await late.send({ tokens: 200, pin: 'a' })]
  await late.clock.advance(150)
  assert.equal(where(...two), 'a a')
  const third = await late.send({ tokens: 200, queueUntil })
  assert.equal(where(third, await late.send({ tokens: 200 })), '… queue_full')
  await late.clock.advance(400)
  late.pool.expire()
  await late.clock.advance(0)
  assert.equal(where(third), 'queue_timeout')
})

test('a client that leaves while its call waits is gone, and the next one goes', async () => {
  const late = await lateRig({}, ['a'])
  const ahead = await late.send({ tokens: 2000 })
  const [gone, next] = [await late.send({ tokens: 500 }), await late.send({ tokens: 1000 })]
  late.pool.settle(gone.id, { kind: 'left' })
  await late.first(ahead)
  assert.equal(where(gone, next), 'client_left a')
})

test('a call that is sent again while it waits gets the same place', async () => {
  const late = await lateRig({}, ['a'])
  const ahead = await late.send({ tokens: 2000 })
  const one = await late.send({ id: 'same', tokens: 500 })
  const again = await late.send({ id: 'same', tokens: 500 })
  assert.equal(late.pool.view().queued, 1)
  await late.first(ahead)
  assert.equal(where(one, again), 'a a')
})

test('a retry goes at once', async () => {
  const late = await lateRig({}, ['a', 'b'])
  const [busy, broken] = [
    await late.send({ tokens: 2000, pin: 'a' }),
    await late.send({ tokens: 2000, pin: 'b' }),
  ]
  assert.equal(where(busy, broken), 'a b')
  const pick = await late.pool.repick({ kind: 'connect' }, ask({ id: broken.id, tokens: 2000 }))
  assert.equal('plan' in pick && pick.plan.worker.id, 'a')
})

test('a worker that shares its steps is found out, with one line in the log, and gets calls as they come', async () => {
  const late = await lateRig({}, [], member('a'), member('b'))
  await teach(late, 'a', true)
  await teach(late, 'b', false)
  await teach(late, 'a', true)
  assert.deepEqual(bindings(late), ['shares_steps', 'late'])
  const lines = late.logged.filter(({ message }) => message.includes('several prompts in one step'))
  assert.deepEqual(
    lines.map(({ level, worker }) => [level, worker]),
    [['warn', 'a']],
  )
  const all = [await late.send({ tokens: 2000, pin: 'a' }), await late.send({ tokens: 2000, pin: 'a' })]
  assert.equal(where(...all), 'a a')
})

test('a worker that came back is watched anew', async () => {
  const late = await lateRig({ healthInterval: '1s', healthFailures: 1, healthSuccesses: 1 }, ['a'])
  assert.deepEqual(bindings(late), ['late'])
  late.health.set('a', 'refused')
  await late.clock.advance(1500)
  late.health.set('a', 'up')
  await late.clock.advance(3000)
  assert.deepEqual(bindings(late), ['learning'])
})

test('who waits goes when binding becomes early', async () => {
  const late = await lateRig({}, ['a'])
  const calls = [
    await late.send({ tokens: 2000 }),
    await late.send({ tokens: 500 }),
    await late.send({ tokens: 600 }),
  ]
  assert.equal(where(...calls), 'a … …')
  late.pool.configure(configSchema.parse({ policy: 'least_cost', healthInterval: 'off' }))
  await late.clock.advance(0)
  assert.equal(where(...calls), 'a a a')
  assert.deepEqual(bindings(late), ['early'])
})

test('answers without a first token hold others up for as long as they should take to read', async () => {
  const late = await lateRig({}, ['a'])
  const whole = await late.send({ tokens: 1500, stream: false })
  const behind = await late.send({ tokens: 500 })
  await late.clock.advance(1200)
  assert.equal(where(whole, behind), 'a …')
  await late.clock.advance(500)
  assert.equal(where(behind), 'a')
})

test('a first token that nobody tells of holds nobody up for ever', async () => {
  const late = await lateRig({}, ['a'])
  const lost = await late.send({ tokens: 2000 })
  const behind = await late.send({ tokens: 500 })
  await late.clock.advance(12_000)
  assert.equal(where(lost, behind), 'a …')
  await late.clock.advance(3000)
  assert.equal(where(behind), 'a')
})

test('a dry run says that a call would wait', async () => {
  const late = await lateRig({}, ['a'])
  assert.equal((await late.pool.explain(ask({ tokens: 500 }))).outcome, 'would_send')
  await late.send({ tokens: 2000 })
  assert.equal((await late.pool.explain(ask({ tokens: 500 }))).outcome, 'would_wait')
  assert.equal(late.pool.view().queued, 0)
})

test('with hundreds waiting, the shortest still goes first, and soon', async () => {
  const late = await lateRig({}, ['a'])
  const ahead = await late.send({ tokens: 2000 })
  for (let i = 0; i < 300; i++) void late.pool.pick(ask({ tokens: 1000 + i }))
  const short = await late.send({ tokens: 50 })
  await late.first(ahead)
  await late.clock.advance(35)
  assert.equal(where(short), 'a')
})
