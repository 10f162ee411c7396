import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { Ask } from '../../src/actors/ask.ts'
import { DecisionLog, type Decided } from '../../src/actors/decision-log.ts'
import { Rows } from '../../src/actors/decision-rows.ts'
import { viewOfDecision } from '../../src/actors/decision-view.ts'
import type { Candidate, PoolSense } from '../../src/policies/policy.ts'
import { worker } from '../policies/_fleet.ts'
import { ask, member } from './_pool.ts'

const seat = (id: string, rest: Partial<Candidate> = {}): Candidate =>
  worker(id, { speed: 1000, capacityTokens: 0, ...rest })

const sense = (matches: Record<string, number> = {}, now = 1000): PoolSense => ({
  now,
  random: () => 0,
  promptTokens: 100,
  match: (id) => matches[id] ?? 0,
  bestMatch: Math.max(0, ...Object.values(matches)),
  popularity: 0,
  nominalSpeed: 1000,
  treeTokens: () => 0,
  bytesPerToken: 4,
})

function decide(log: DecisionLog, of: Ask, change: Partial<Decided> = {}): void {
  const seats = change.serving ?? [seat('a'), seat('b')]
  log.decided({
    ask: of,
    policy: 'least_load',
    weigh: null,
    attempt: 1,
    serving: seats,
    candidates: seats,
    chosen: seats[0] as Candidate,
    sense: sense(),
    tried: [],
    why: () => 'down',
    ...change,
  })
}

const viewOf = (log: DecisionLog, id: string) => {
  const slots = log.find(id)
  return slots.length === 0 ? null : viewOfDecision(log, slots, [])
}

test('rows keep what is still wanted while the ring grows, and the newest when it may grow no more', () => {
  const rows = new Rows(2, 512 * 2 * 8)
  const write = (position: number) => rows.data.set([position, -position], rows.at(position))
  for (let i = 0; i < 400; i++) write(rows.take(1, 0))
  for (const position of [0, 255, 256, 399]) {
    assert.ok(rows.has(position))
    assert.deepEqual([...rows.data.subarray(rows.at(position), rows.at(position) + 2)], [position, -position])
  }
  for (let i = 400; i < 5000; i++) write(rows.take(1, 0))
  assert.equal(rows.bytes, 512 * 2 * 8)
  assert.deepEqual([rows.has(4487), rows.has(4488)], [false, true])
  assert.equal(rows.data[rows.at(4488)], 4488)
})

test('rows that nobody wants any more make no ring grow', () => {
  const rows = new Rows(1, 1e6)
  for (let i = 0; i < 10_000; i++) rows.take(8, Math.max(0, (i - 10) * 8))
  assert.equal(rows.bytes, 256 * 8)
})

test('the newest attempts are kept, and an id that is too old is not found', () => {
  const log = new DecisionLog(10)
  const asks = Array.from({ length: 25 }, () => ask())
  for (const one of asks) decide(log, one)
  assert.equal(log.size, 10)
  assert.deepEqual(
    asks.map(({ id }) => viewOf(log, id) !== null),
    asks.map((_, index) => index >= 15),
  )
})

test('memory is bounded in bytes too: many workers make the record shorter', () => {
  const log = new DecisionLog(1_000_000)
  const many = Array.from({ length: 512 }, (_, index) => seat(`w${index}`))
  const asks = Array.from({ length: 1000 }, () => ask())
  for (const one of asks) decide(log, one, { serving: many, candidates: many, chosen: many[7] as Candidate })
  assert.ok(log.bytes <= 32 * 2 ** 20)
  assert.equal(viewOf(log, (asks[0] as Ask).id), null)
  const newest = viewOf(log, (asks[999] as Ask).id)
  assert.deepEqual([newest?.worker, newest?.candidates.length], ['w7', 512])
  const kept = asks.findIndex(({ id }) => viewOf(log, id) !== null)
  assert.deepEqual(viewOf(log, (asks[kept] as Ask).id)?.candidates.at(-1)?.worker, 'w511')
})

test('what is told of an attempt that is not kept any more changes no other', () => {
  const log = new DecisionLog(2)
  const asks = [ask(), ask(), ask()]
  const [first] = asks.map((one) => {
    decide(log, one)
    return log.newest(one.id)
  })
  log.ended(first!, { kind: 'done' }, 1500)
  // A log of another length begins anew, while there are leases.
  log.ended({ id: 'd-of-another-log', record: 2 }, { kind: 'done' }, 1500)
  log.ended({ id: 'd-of-another-log', record: 7 }, { kind: 'done' }, 1500)
  assert.deepEqual(
    asks.map(({ id }) => viewOf(log, id)?.outcome),
    [undefined, 'running', 'running'],
  )
})

test('a log of none keeps nothing', () => {
  const log = new DecisionLog(0)
  const one = ask()
  decide(log, one)
  log.ended(log.newest(one.id), { kind: 'done' }, 1)
  assert.deepEqual([log.find(one.id), log.size], [[], 0])
})

test('a decision tells what each worker looked like then, not now', () => {
  const log = new DecisionLog(4)
  const one = ask({ tokens: 90 })
  const changing = { ...seat('a', { backlogTokens: 50, inFlight: 3 }) }
  decide(log, one, { serving: [changing, seat('b')], candidates: [changing, seat('b')], chosen: changing })
  changing.backlogTokens = 999
  const [first] = viewOf(log, one.id)?.candidates ?? []
  assert.deepEqual([first?.backlog_tokens, first?.in_flight, first?.chosen], [50, 3, true])
})

test('an attempt that is over is found by its id, whatever that is made of, and by no other', () => {
  const ids = [
    'd-1',
    'd-10',
    'd-2',
    'd-ü',
    'd-語',
    `d-${'x'.repeat(28)}`,
    `d-${'x'.repeat(29)}`,
    `d-${'x'.repeat(30)}`,
    'd-\0',
  ]
  const log = new DecisionLog(ids.length)
  for (const id of ['lost', ...ids]) {
    decide(log, ask({ id }))
    log.ended(log.newest(id), { kind: 'done', status: 200 }, 1500)
  }
  for (const id of ids) assert.deepEqual([viewOf(log, id)?.id, viewOf(log, id)?.outcome], [id, 'done'])
  for (const id of ['lost', '', 'd', 'd-', 'd-3', 'd-1\0', 'd-\u01fc', `d-${'x'.repeat(31)}`])
    assert.deepEqual(log.find(id), [], id)
})

test('what comes late for an attempt that is over still finds it', () => {
  const log = new DecisionLog(4)
  const one = ask({ id: 'd-late' })
  decide(log, one)
  const late = log.newest(one.id)
  log.ended(late, { kind: 'done' }, 1500)
  log.ended(late, { kind: 'failed' }, 1600)
  log.first(late, 250)
  assert.deepEqual([viewOf(log, one.id)?.outcome, log.newest(one.id)], ['done', late])
})

test('an attempt that ends twice is still found by its id, and a failure that comes late is that of its call', () => {
  const log = new DecisionLog(4)
  const [twice, failed] = [ask({ id: 'd-twice' }), ask({ id: 'd-failed' })]
  for (const one of [twice, failed]) {
    decide(log, one)
    log.ended(log.newest(one.id), { kind: 'done' }, 1500)
  }
  log.ended({ id: twice.id, record: 0 }, { kind: 'done' }, 1600)
  log.ended({ id: failed.id, record: 1 }, { kind: 'failed' }, 1600)
  assert.deepEqual([viewOf(log, twice.id)?.outcome, viewOf(log, failed.id)?.outcome], ['done', 'done'])
  assert.deepEqual(log.find(''), [])
})

test('matches, predictions and what the engine told stand beside each other', () => {
  const log = new DecisionLog(4)
  const one = ask()
  const seats = [seat('a'), seat('b')]
  decide(log, one, {
    serving: seats,
    candidates: seats,
    chosen: seats[1] as Candidate,
    sense: sense({ b: 64 }),
  })
  log.first(log.newest(one.id), 250)
  const usage = { promptTokens: 110, cachedTokens: 48, completionTokens: 7, estimated: false }
  log.ended(log.newest(one.id), { kind: 'done', status: 200, usage }, 1500)
  const view = viewOf(log, one.id)
  assert.deepEqual(
    view?.candidates.map((candidate) => [candidate.matched_tokens, candidate.uncached_tokens]),
    [
      [0, 100],
      [64, 36],
    ],
  )
  assert.deepEqual(
    [view?.predicted_cached_tokens, view?.cached_tokens, view?.prediction_error_tokens, view?.prompt_tokens],
    [64, 48, 16, 110],
  )
  assert.deepEqual(
    [view?.outcome, view?.status, view?.first_token_ms, view?.duration_ms],
    ['done', 200, 250, 500],
  )
})

test('estimated counts are no engine’s word', () => {
  const log = new DecisionLog(4)
  const one = ask()
  decide(log, one)
  const usage = { promptTokens: 110, cachedTokens: 0, completionTokens: 7, estimated: true }
  log.ended(log.newest(one.id), { kind: 'left', usage }, 1500)
  assert.deepEqual([viewOf(log, one.id)?.cached_tokens, viewOf(log, one.id)?.outcome], [null, 'left'])
})

test('an engine that does not tell what was cached leaves that open', () => {
  const log = new DecisionLog(4)
  const one = ask()
  decide(log, one)
  const usage = { promptTokens: 110, cachedTokens: null, completionTokens: 7, estimated: false }
  log.ended(log.newest(one.id), { kind: 'done', usage }, 1500)
  const view = viewOf(log, one.id)
  assert.deepEqual(
    [view?.prompt_tokens, view?.cached_tokens, view?.prediction_error_tokens],
    [110, null, null],
  )
})

test('attempts are listed in order, each with its failure and its exclusions', () => {
  const log = new DecisionLog(8)
  const one = ask()
  const [a, b, c] = [seat('a'), seat('b'), seat('c')]
  decide(log, one, { serving: [a, b, c], candidates: [a, b, c], chosen: a })
  log.ended(log.newest(one.id), { kind: 'failed', failure: { kind: 'connect' } }, 1010)
  decide(log, one, {
    attempt: 2,
    serving: [a, b, c],
    candidates: [b],
    chosen: b,
    why: (other) => (other === a ? 'tried' : 'breaker_open'),
  })
  log.planned(log.newest(one.id), { waited: 20, delay: 50 })
  log.ended(log.newest(one.id), { kind: 'done', status: 200 }, 1100)
  const view = viewOf(log, one.id)
  assert.deepEqual(
    view?.attempts.map(({ attempt, worker, outcome, failure }) => [attempt, worker, outcome, failure?.kind]),
    [
      [1, 'a', 'failed', 'connect'],
      [2, 'b', 'done', undefined],
    ],
  )
  assert.deepEqual(view?.exclusions, [
    { worker: 'a', reason: 'tried' },
    { worker: 'c', reason: 'breaker_open' },
  ])
  assert.deepEqual([view?.waited_ms, view?.waited_for, view?.delay_ms, view?.worker], [20, 'room', 50, 'b'])
})

test('why a member never served the ask is told from what it serves', () => {
  const log = new DecisionLog(4)
  const cases: [Partial<Ask>, ReturnType<typeof member>, string][] = [
    [{}, member('z', { models: ['n'] }), 'model_not_served'],
    [{}, member('z', { role: 'prefill' }), 'role_prefill'],
    [{ engines: ['sglang'] }, member('z'), 'endpoint_not_served'],
    [{ pin: 'a' }, member('z'), 'pinned_elsewhere'],
    [{}, member('z'), 'joined_later'],
  ]
  for (const [change, other, reason] of cases) {
    const one = ask(change)
    decide(log, one)
    const view = viewOfDecision(log, log.find(one.id), [member('a'), other])
    assert.deepEqual(view.exclusions, [{ worker: 'z', reason }])
  }
})

test('the policy’s terms are worked out from what was kept', () => {
  const log = new DecisionLog(4)
  const one = ask({ model: 'm', tokens: 80 })
  const seats = [seat('a', { speed: 200, hasLoaded: (model) => model !== 'm' }), seat('b', { weight: 2 })]
  decide(log, one, {
    serving: seats,
    candidates: seats,
    sense: sense({ a: 20 }, 5000),
    weigh: (of, candidate, known) => ({
      cost: (known.promptTokens - known.match(candidate.id)) / candidate.speed / candidate.weight,
      loading: candidate.hasLoaded(of.model as string) ? 0 : 1,
      best: known.bestMatch,
      at: known.now,
    }),
  })
  assert.deepEqual(
    viewOf(log, one.id)?.candidates.map(({ cost, terms }) => [cost, terms]),
    [
      [0.4, { loading: 1, best: 20, at: 5000 }],
      [0.05, { loading: 0, best: 20, at: 5000 }],
    ],
  )
})

test('a decision that the router made alone says so', () => {
  const log = new DecisionLog(4)
  log.alone('d-x', ['a', 'b'], 1000)
  log.ended(log.newest('d-x'), { kind: 'done', status: 200 }, 1200)
  const view = viewOf(log, 'd-x')
  assert.deepEqual(
    [view?.degraded, view?.worker, view?.attempts.map((one) => one.worker), view?.candidates],
    [true, 'b', ['a', 'b'], []],
  )
})

test('what is kept of an ask holds neither its session nor its hashes', () => {
  const log = new DecisionLog(4)
  const one = ask({ session: 'user-secret', prefix: Float64Array.of(123456789, 987654321) })
  decide(log, one)
  const text = JSON.stringify(viewOf(log, one.id))
  assert.doesNotMatch(text, /secret|123456789|987654321/)
  assert.ok(viewOf(log, one.id)?.has_session)
  assert.equal(viewOf(log, one.id)?.prompt.blocks, 2)
})
