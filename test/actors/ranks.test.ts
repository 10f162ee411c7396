import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WorkerRecord } from '../../src/actors/members.ts'
import { findRecord, membersOf, rankProblem, setDraining, viewFor, viewsOf } from '../../src/actors/ranks.ts'
import { Roster } from '../../src/actors/roster.ts'
import { configSchema, workerSchema } from '../../src/config/schema.ts'
import { probe } from '../../src/discovery/probe.ts'
import type { EngineFacts } from '../../src/engines/engine.ts'
import { roomOf } from '../../src/execute/forms/bootstrap.ts'
import type { Upstream } from '../../src/host.ts'
import { createClock } from '../_clock.ts'

const config = configSchema.parse({})

function recordOf(spec: Record<string, unknown> = {}, facts: Partial<EngineFacts> | null = {}): WorkerRecord {
  return {
    id: 'w-abc',
    spec: workerSchema.parse({ url: 'http://gpu1:8000', ...spec }),
    source: 'flag',
    addedAt: 0,
    draining: false,
    facts: facts && { engine: 'vllm', models: [{ id: 'm' }], ...facts },
    askAt: 0,
    silent: 0,
    asked: true,
    problem: null,
  }
}

const COUNTS: readonly [string, WorkerRecord, 'ask' | number | undefined, number][] = [
  ['nothing said', recordOf({}, { dpSize: 4 }), undefined, 1],
  ['ask', recordOf({}, { dpSize: 4 }), 'ask', 4],
  ['ask, an engine without ranks', recordOf({}, { dpSize: 1 }), 'ask', 1],
  ['ask, an engine that does not tell', recordOf(), 'ask', 1],
  ['ask, no answer yet', recordOf({}, null), 'ask', 1],
  ['a number', recordOf(), 2, 2],
  ['a number before it answered', recordOf({}, null), 2, 2],
  ['its own number', recordOf({ ranks: 3 }, { dpSize: 4 }), 'ask', 3],
  ['LMDeploy, whose ranks have URLs of their own', recordOf({}, { engine: 'lmdeploy', dpSize: 4 }), 'ask', 1],
]

for (const [words, record, ranks, count] of COUNTS)
  test(`workers of a server: ${words}`, () => {
    const members = membersOf(record, { ...config, ranks })
    assert.equal(members.length, count)
    assert.deepEqual(
      viewsOf(record, { ...config, ranks }).map(({ id }) => id),
      members.map(({ ref }) => ref.id),
    )
    assert.equal(new Set(members.map(({ ref }) => ref.id)).size, count)
  })

test('a rank has its part of the cache, its own streams of events, and a way to be told', () => {
  const facts = {
    engine: 'sglang',
    version: '0.5.23',
    dpSize: 2,
    kvCapacityTokens: 9000,
    kvEvents: { endpoint_port_base: 5557, dp_size: 2, load_endpoint_port_base: 6000 },
  } as const
  const asked = { ...config, ranks: 'ask' as const }
  const members = membersOf(recordOf({}, facts), asked)
  assert.deepEqual(
    members.map(({ ref, kvCapacityTokens, kvEvents, loadSources }) => [
      ref.url,
      ref.rank,
      ref.rankField,
      kvCapacityTokens,
      kvEvents?.map(({ endpoint }) => endpoint),
      loadSources?.map(({ endpoint }) => endpoint),
    ]),
    [0, 1].map((rank) => [
      'http://gpu1:8000',
      rank,
      'routed_dp_rank',
      4500,
      [`tcp://gpu1:${5557 + rank}`],
      [`tcp://gpu1:${6000 + rank}`],
    ]),
  )
})

test('SGLang is told a rank in the field that its version knows', () => {
  for (const [version, field] of [
    [undefined, 'data_parallel_rank'],
    ['0.4.9.post2', 'data_parallel_rank'],
    ['0.5.9', 'data_parallel_rank'],
    ['0.5.10', 'routed_dp_rank'],
    ['0.5.10rc0', 'routed_dp_rank'],
    ['1.0', 'routed_dp_rank'],
  ] as const) {
    const facts = { engine: 'sglang', ...(version && { version }) } as const
    const [first] = membersOf(recordOf({ ranks: 2 }, facts), config)
    assert.equal(first?.ref.rankField, field, version)
  }
})

test('a rank drains alone, and with its server', () => {
  const record = recordOf({ ranks: 2 })
  const draining = () => membersOf(record, config).map((member) => member.draining)
  setDraining(record, 'w-abc.1', true)
  assert.deepEqual(draining(), [false, true])
  setDraining(record, 'w-abc', true)
  assert.deepEqual(draining(), [true, true])
  setDraining(record, 'w-abc', false)
  assert.deepEqual(draining(), [false, false])
})

test('an id names a server, or a rank that it has', () => {
  const record = recordOf({ ranks: 2 })
  const records = new Map([[record.id, record]])
  const found = (id: string) => findRecord(records, id, config) === record && viewFor(record, id, config).url
  assert.equal(found('w-abc'), 'http://gpu1:8000')
  assert.equal(found('w-abc.1'), 'http://gpu1:8000@1')
  assert.equal(found('w-abc.2'), false)
  assert.equal(found('w-abd'), false)
})

test('a number of ranks that the engine contradicts is told', () => {
  assert.match(rankProblem(recordOf({ ranks: 4 }, { dpSize: 2 }), config) ?? '', /has 2 .* set ranks to 2/)
  for (const fine of [recordOf({ ranks: 2 }, { dpSize: 2 }), recordOf({ ranks: 4 }), recordOf()])
    assert.equal(rankProblem(fine, config), null)
})

test('one question finds all ranks of a server down, and back', async () => {
  const roster = new Roster()
  roster.apply({ version: 1, members: membersOf(recordOf({ ranks: 3 }), config) }, 0)
  const seats = [...roster.seats.values()]
  let [asked, status] = [0, 500]
  const upstream = (): Upstream => {
    const bytes = () => Promise.resolve(new Uint8Array())
    return { status, headers: [], bytes, first: bytes, cancel: () => undefined }
  }
  const host = {
    ...createClock(),
    fetch: () => {
      asked++
      return Promise.resolve(upstream())
    },
  }
  const rules = { path: '/health', interval: 10_000, timeout: 5000, failures: 1, successes: 1, breaker: null }
  assert.ok(seats.every(({ ranks }) => ranks === seats[0]?.ranks))
  assert.deepEqual(await probe(host, seats, rules), ['down', 'down', 'down'])
  status = 200
  assert.deepEqual(await probe(host, seats, rules), ['up', 'up', 'up'])
  assert.equal(asked, 2)
})

test('a room leaves the rank of the prompt as remainder, up to the largest room', () => {
  for (const draw of [0, 0.37, 1 - 2 ** -53]) {
    const room = BigInt(roomOf(() => draw, { rank: 6, ranks: 7 }))
    assert.equal(room % 7n, 6n)
    assert.ok(room >= 0n && room < 1n << 63n)
  }
})
