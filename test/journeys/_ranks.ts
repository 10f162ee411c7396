// Data-parallel ranks: a server with several is as many workers, which have caches, loads and an end of their own.
import assert from 'node:assert/strict'
import type { Engine, EngineOptions, SeenRequest } from '../../src/simulator/engine.ts'
import type { Journeys } from './_journeys.ts'
import {
  callsOf,
  chat,
  CHAT,
  engine,
  eventually,
  headerOf,
  unless,
  W1,
  WORKERS,
  type Json,
  type Rig,
} from './_rig.ts'
import type { KvPublisher } from '../../src/simulator/kv-publisher.ts'
import { caughtUp, published } from './_kv.ts'
import { openPairs } from './_pairs.ts'

const RANK = 'x-data-parallel-rank'

const bodyOf = (request: SeenRequest | undefined): Json => JSON.parse(request?.body ?? '{}') as Json

/** A call with a prompt of a few hundred tokens that begins with that text. */
const asked = (text: string) =>
  chat({ messages: [{ role: 'user', content: `${text} ${'and so on. '.repeat(150)}` }] })

const ranksOf = (rig: Rig) => async (): Promise<string[]> =>
  (await rig.workers()).map(({ url }) => String(url).slice(rig.url(W1).length))

/** The rank that each call was sent to, as the engine read it. */
const toldBy = (worker: Engine) => callsOf(worker).map((call) => headerOf(call, RANK))

const DIALECTS: readonly Partial<EngineOptions>[] = [{ engine: 'vllm' }, { engine: 'sglang' }]

export const ranks: Journeys = {
  'each rank is a worker with a view of its own: a prompt comes back to the rank that has it': unless(
    'dialled-in',
    async ({ open }) => {
      for (const options of DIALECTS) {
        // Slow enough for three calls to be there at once.
        const served = engine({ ...options, dpSize: 3, speed: 1, stepMs: 20 })
        const rig = await open(
          // Calls that come 21 ms apart find the prompt before them read, by the router's guess; then a hash would choose.
          { workers: [{ url: W1, ranks: 'ask' }], policy: 'least_cost', coldBand: '0ms' },
          { [W1]: served },
        )
        assert.deepEqual(await ranksOf(rig)(), ['@0', '@1', '@2'])
        const first = await Promise.all(['a', 'b', 'c'].map((text) => rig.post(CHAT, asked(text))))
        const again = await Promise.all(['a', 'b', 'c'].map((text) => rig.post(CHAT, asked(text))))
        const workers = (replies: readonly { headers: Headers }[]) =>
          replies.map(({ headers }) => headers.get('x-fetchway-worker'))
        assert.deepEqual(workers(again), workers(first))
        assert.equal(new Set(workers(first)).size, 3, 'three calls at once take all ranks')
        for (const { body } of again)
          assert.ok(body.usage.prompt_tokens_details.cached_tokens > 300, JSON.stringify(body.usage))
        for (const rank of ['0', '1', '2'])
          assert.equal(toldBy(served).filter((told) => told === rank).length, 2)
        await rig.rests()
      }
    },
  ),

  'SGLang is told the rank in the body, too, whatever the client wrote there': unless(
    'dialled-in',
    async ({ open }) => {
      const served = engine({ engine: 'sglang', dpSize: 2 })
      const rig = await open({ workers: [W1], ranks: 2 }, { [W1]: served })
      for (let i = 0; i < 4; i++) {
        const forged = { data_parallel_rank: 7, routed_dp_rank: 7, kept: 1.0 }
        const reply = await rig.post(CHAT, { ...asked(String(i)), ...forged }, { [RANK]: '7' })
        assert.equal(reply.status, 200, reply.text)
      }
      for (const call of callsOf(served)) {
        const { routed_dp_rank: rank, data_parallel_rank: old, kept } = bodyOf(call)
        assert.deepEqual([String(rank), old, kept], [headerOf(call, RANK), undefined, 1])
        assert.equal(call.headers.filter(([name]) => name === RANK).length, 1)
      }
    },
  ),

  'an engine that has no ranks, or is not split, hears of none': unless('dialled-in', async ({ open }) => {
    for (const [dpSize, wanted] of [
      [1, 'ask'],
      [2, undefined],
    ] as const) {
      const served = engine({ dpSize })
      const rig = await open({ workers: [W1], ...(wanted && { ranks: wanted }) }, { [W1]: served })
      assert.equal((await rig.post(CHAT, chat())).status, 200)
      assert.deepEqual(await ranksOf(rig)(), [''])
      assert.deepEqual(toldBy(served), [undefined])
    }
  }),

  'an engine refuses a rank that it does not have, and the client learns why': unless(
    'dialled-in',
    async ({ open }) => {
      for (const options of DIALECTS) {
        const rig = await open({ workers: [W1] }, { [W1]: engine({ ...options, dpSize: 2 }) })
        const reply = await rig.post(CHAT, chat(), { [RANK]: '2' })
        assert.equal(reply.status, 400, reply.text)
        assert.match(reply.text, /out of range/)
      }
    },
  ),

  'ranks that are no more leave by themselves, and new ones join': unless(
    'dialled-in',
    async ({ open, has }) => {
      let served = engine({ dpSize: 4 })
      const restarted = { ...served, fetch: (request: Request) => served.fetch(request) }
      const options = { movesClock: !has('real-clock') }
      const rig = await open({ workers: [W1], ranks: 'ask' }, { [W1]: restarted }, options)
      const names = ranksOf(rig)
      assert.equal((await names()).length, 4)
      for (const [dpSize, left] of [
        [2, ['@0', '@1']],
        [1, ['']],
        [3, ['@0', '@1', '@2']],
      ] as const) {
        served = engine({ dpSize })
        // A name that nobody knows makes the router ask again, at most every two seconds.
        await eventually(
          async () => {
            await rig.pass(2000)
            await rig.post(CHAT, chat({ model: `unknown-${dpSize}` }))
            return (await names()).join() === left.join()
          },
          () => `ranks did not become ${left.join()}`,
        )
        for (let i = 0; i < 6; i++) assert.equal((await rig.post(CHAT, asked(String(i)))).status, 200)
        await rig.rests()
      }
    },
  ),

  'a server is added by the API with its ranks, drains by one or by all, and leaves with all': unless(
    'dialled-in',
    async ({ open }) => {
      const served = engine({ dpSize: 2 })
      const rig = await open({ workers: [] }, { [W1]: served })
      const url = rig.url(W1)
      const added = await rig.admin('POST', WORKERS, { url, ranks: 'ask' })
      assert.equal(added.status, 201, added.text)
      const { id } = added.body
      await eventually(
        async () => (await rig.workers()).length === 2,
        () => 'the ranks did not come',
      )
      const [zero, one] = await rig.workers()
      assert.deepEqual([zero.url, zero.rank, zero.ranks], [`${url}@0`, 0, 2])
      await rig.admin('POST', `${WORKERS}/${one.id}/drain`)
      for (let i = 0; i < 3; i++) assert.equal((await rig.post(CHAT, asked(String(i)))).status, 200)
      assert.deepEqual(toldBy(served), ['0', '0', '0'])
      const shown = (await rig.admin('GET', `${WORKERS}/${id}`)).body
      assert.deepEqual(
        shown.workers.map(({ draining }: Json) => draining),
        [false, true],
      )
      await rig.admin('POST', `${WORKERS}/${id}/undrain`)
      assert.deepEqual(
        (await rig.workers()).map(({ draining }) => draining),
        [false, false],
      )
      assert.equal((await rig.admin('DELETE', `${WORKERS}/${id}.2`)).status, 404)
      assert.equal((await rig.admin('DELETE', `${WORKERS}/${id}`)).body.url, url)
      assert.deepEqual(await rig.workers(), [])
    },
  ),

  'each rank has the load that the engine tells of it, asked once for all': unless(
    'dialled-in',
    async ({ open }) => {
      for (const options of DIALECTS) {
        const served = engine({ ...options, dpSize: 2, speed: 1, stepMs: 20 })
        // Somebody else's call.
        const leave = new AbortController()
        const other = new Request(`${W1}${CHAT}`, {
          method: 'POST',
          headers: { [RANK]: '1', 'content-type': 'application/json' },
          body: JSON.stringify(chat({ max_tokens: 1000, ignore_eos: true, stream: true })),
          signal: leave.signal,
        })
        const stream = (await served.fetch(other)).body!.getReader()
        await stream.read()
        const rig = await open(
          { workers: [W1], ranks: 2, loadInterval: '100ms', loadAlways: true },
          { [W1]: served },
        )
        await eventually(
          async () => (await rig.workers()).map(({ load }) => load?.running).join() === '0,1',
          () => 'the ranks have no load of their own',
        )
        await stream.cancel()
      }
    },
  ),

  'of a pair both engines are told their ranks, and SGLang that of the prompt': unless(
    'dialled-in',
    async ({ open }) => {
      const {
        rig,
        prefill: first,
        decode: second,
      } = await openPairs({ open }, 'sglang', {
        config: { ranks: 'ask', policy: 'round_robin' },
        options: { dpSize: 2 },
      })
      for (let i = 0; i < 4; i++) {
        const reply = await rig.post(CHAT, asked(String(i)))
        assert.equal(reply.status, 200, reply.text)
      }
      const given = callsOf(first).filter(({ path }) => path === CHAT)
      const taken = callsOf(second).filter(({ path }) => path === CHAT)
      assert.equal(new Set(given.map((call) => headerOf(call, RANK))).size, 2)
      for (const [i, call] of taken.entries()) {
        const [prefill, decode] = [bodyOf(given[i]), bodyOf(call)]
        assert.equal(decode.disagg_prefill_dp_rank, prefill.routed_dp_rank)
        const room = /"bootstrap_room":\s*(\d+)/.exec(call.body)?.[1] ?? ''
        assert.equal(BigInt(room) % 2n, BigInt(prefill.routed_dp_rank))
        assert.equal(headerOf(call, RANK), String(decode.routed_dp_rank))
      }
      await rig.rests()
    },
  ),

  'each rank is followed by the events of its own cache': unless('no-sockets', async ({ open }) => {
    const served = engine({ dpSize: 2, blockTokens: 64 })
    const follow = async (publishers: readonly KvPublisher[]) => {
      const rig = await open({ workers: [W1], ranks: 'ask', policy: 'least_cost' }, { [W1]: served })
      await eventually(
        async () => (await rig.workers()).every(({ kv_events: kv }) => kv?.state === 'live'),
        () => 'a rank is not followed',
      )
      // Six blocks and some more.
      const prompted = (letter: string) => {
        const prompt = `${letter.repeat(4 * 64 * 6)}tail`
        return rig.post('/v1/completions', { model: 'm', prompt, max_tokens: 1 })
      }
      const first = await Promise.all(['a', 'b'].map(prompted))
      await caughtUp(rig, publishers)
      for (const [i, text] of ['a', 'b'].entries()) {
        const again = await prompted(text)
        const id = again.headers.get('x-fetchway-decision')
        const decision = (await rig.admin('GET', `/fetchway/v1/decisions/${id}`)).body
        assert.equal(decision.predicted_cached_tokens, 64 * 6)
        assert.equal(decision.predicted_cached_tokens, again.body.usage.prompt_tokens_details.cached_tokens)
        assert.equal(again.headers.get('x-fetchway-worker'), first[i]?.headers.get('x-fetchway-worker'))
      }
    }
    await published([served], follow, 2)
  }),
}
