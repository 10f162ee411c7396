// KV events: what workers hold is known, not guessed, where their engines tell it.
import assert from 'node:assert/strict'
import { encode } from '@msgpack/msgpack'
import { createSockets } from '../../adapters/node/sockets.ts'
import { createTimers } from '../../adapters/web/timers.ts'
import { KvPublisher } from '../../src/simulator/kv-publisher.ts'
import { seeded } from '../../src/simulator/clock.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import type { Journeys } from './_journeys.ts'
import { engine, eventually, unless, W1, W2, WORKERS, type Rig } from './_rig.ts'

const DECISIONS = '/fetchway/v1/decisions'
const random = seeded(11)

/** A text of so many tokens (of four bytes each in simulated engines) that is like no other. */
const text = (tokens: number) =>
  Array.from({ length: tokens * 4 }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('')

/** Lets engines (the first `ranks` of their ranks) publish on sockets of this process while `run` goes on. */
export async function published(
  engines: readonly Engine[],
  run: (publishers: readonly KvPublisher[]) => Promise<void>,
  ranks = 1,
): Promise<void> {
  const sockets = createSockets()
  const timers = createTimers()
  const clock = { now: () => performance.now(), random: Math.random, timer: timers.start }
  const endpoint = 'tcp://127.0.0.1:0'
  const bind = (one: Engine, rank: number) =>
    KvPublisher.bind(one, { sockets, clock }, { endpoint, replay: endpoint, rank })
  try {
    const all = engines.flatMap((one) => Array.from({ length: ranks }, (_, rank) => bind(one, rank)))
    await run(await Promise.all(all))
  } finally {
    sockets.close()
    timers.close()
  }
}

/** Waits until the router has heard of all that was published, and all calls are settled. */
export async function caughtUp(rig: Rig, publishers: readonly KvPublisher[]): Promise<void> {
  await eventually(
    async () => {
      const workers = await rig.workers()
      const heard = workers.reduce((sum, { kv_events: kv }) => sum + (kv?.batches ?? 0), 0)
      const told = publishers.reduce((sum, { next }) => sum + next, 0)
      return heard >= told && workers.every((worker) => worker.in_flight === 0)
    },
    () => 'events that were published did not come',
  )
}

const live = (rig: Rig) =>
  eventually(
    async () => (await rig.workers()).every(({ kv_events: kv }) => kv?.state === 'live'),
    () => 'the events of some worker are not followed',
  )

const completion = (prompt: string) => ({ model: 'm', prompt, max_tokens: 1 })

export const exact: Journeys = {
  'hits are predicted to the token where engines publish KV events, after evictions as well': unless(
    'no-sockets',
    async ({ open }) => {
      // Each cache holds a third of the texts.
      const fleet = {
        [W1]: engine({ blocks: 24, blockTokens: 64 }),
        [W2]: engine({ engine: 'sglang', blocks: 24, blockTokens: 64 }),
      }
      await published(Object.values(fleet), async (publishers) => {
        const rig = await open({ policy: 'least_cost', kvSessions: 'all' }, fleet)
        await live(rig)
        const stems = Array.from({ length: 9 }, () => text(512))
        let hits = 0
        for (let i = 0; i < 40; i++) {
          const stem = stems[Math.floor(random() * stems.length)]!
          const prompt = stem.slice(0, 256 * (2 + Math.floor(random() * 7))) + text(8)
          const { body, headers } = await rig.post('/v1/completions', completion(prompt))
          await caughtUp(rig, publishers)
          const decision = (await rig.admin('GET', `${DECISIONS}/${headers.get('x-fetchway-decision')}`)).body
          const cached = body.usage.prompt_tokens_details?.cached_tokens ?? 0
          assert.equal(decision.predicted_cached_tokens, cached, `call ${i}`)
          if (cached > 0) hits++
        }
        assert.ok(hits > 5, `${hits} hits`)
        for (const { kv_events: kv } of await rig.workers()) assert.equal(kv.state, 'live')
      })
    },
  ),

  'calls have names for engines that publish KV events, and for no others': unless(
    'no-sockets',
    async ({ open }) => {
      const [telling, silent] = [engine(), engine({ models: ['s'] })]
      await published([telling], async () => {
        const rig = await open({ policy: 'least_cost' }, { [W1]: telling, [W2]: silent })
        const session = { 'x-session-id': 'mine' }
        await rig.post('/v1/completions', completion(text(80)))
        await rig.post('/v1/completions', completion(text(80)), session)
        await rig.post('/v1/completions', { ...completion(text(80)), model: 's' })
        const sent = [telling, silent].map((one) =>
          one
            .seen()
            .requests.filter(({ path }) => path === '/v1/completions')
            .map(({ headers }) => new Map(headers).get('x-session-id')),
        )
        assert.match(sent[0]![0]!, /^d-/)
        assert.deepEqual(sent[0]!.slice(1), ['mine'])
        assert.deepEqual(sent[1], [undefined])
      })
    },
  ),

  async 'KV events may be pushed by HTTP, and what is wrong with them is told'({ open }) {
    const rig = await open({ policy: 'least_cost' }, { [W1]: engine() })
    const { id } = (await rig.workers())[0]
    const path = `${WORKERS}/${id}/kv-events`
    const stored = { type: 'BlockStored', block_hashes: [2n ** 63n + 1n, 7], block_size: 16, token_ids: [] }
    const batch = encode([1.5, [stored], 0], { useBigInt64: true })
    const push = (body: unknown, headers: Readonly<Record<string, string>>) =>
      rig.ask(path, { method: 'POST', headers, body })
    const packed = { 'content-type': 'application/msgpack' }
    const first = await push(batch, { ...packed, 'x-kv-seq': '0' })
    assert.deepEqual(
      [first.status, first.body],
      [
        200,
        {
          object: 'kv_events',
          worker: id,
          accepted: 1,
          duplicate: false,
          gap: false,
          restarted: false,
          next_seq: 1,
        },
      ],
    )
    assert.equal((await push(batch, { ...packed, 'x-kv-seq': '0' })).body.duplicate, true)
    const json = { 'content-type': 'application/json' }
    const gap = await push('[0, [["AllBlocksCleared"]]]', { ...json, 'x-kv-seq': '5' })
    assert.deepEqual([gap.body.gap, gap.body.next_seq], [true, 6])
    const { kv_events: kv } = (await rig.workers())[0]
    assert.deepEqual([kv.state, kv.trouble, kv.batches, kv.blocks, kv.gaps], ['degraded', 'gap', 2, 0, 1])
    const { text: metrics } = await rig.ask('/metrics')
    assert.match(metrics, new RegExp(`^fetchway_kv_events_degraded\\{worker="${id}"\\} 1$`, 'm'))
    for (const [body, headers, status, code] of [
      ['x', packed, 400, 'invalid_kv_events'],
      ['{"events": [{"type": "BlockRemoved"}]}', json, 400, 'invalid_kv_events'],
      ['[]', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
      ['[0, []]', { ...json, 'x-kv-seq': 'one' }, 400, 'invalid_kv_events'],
    ] as const) {
      const refused = await push(body, headers)
      assert.deepEqual([refused.status, refused.body.error.code], [status, code], body)
    }
    const nobody = await rig.ask(`${WORKERS}/w-none/kv-events`, {
      method: 'POST',
      headers: json,
      body: '[0, []]',
    })
    assert.deepEqual([nobody.status, nobody.body.error.code], [404, 'worker_not_found'])
  },

  async 'nobody pushes KV events without the key of the control plane'({ open }) {
    const rig = await open({ policy: 'least_cost', adminKey: 'secret' }, { [W1]: engine() })
    const { id } = (await rig.workers())[0]
    const path = `${WORKERS}/${id}/kv-events`
    const json = { 'content-type': 'application/json' }
    assert.equal((await rig.ask(path, { method: 'POST', headers: json, body: '[0, []]' })).status, 401)
    assert.equal((await rig.admin('POST', path, [0, []])).status, 200)
  },
}
