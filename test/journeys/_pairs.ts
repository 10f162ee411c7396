// Prefill and decode on two engines: every way of handing KV over answers as one engine would, and both engines end at rest.
import assert from 'node:assert/strict'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Engine, EngineOptions } from '../../src/simulator/engine.ts'
import type { Journeys, Start } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, headerOf, saidIn, unless, type Rig } from './_rig.ts'

export const P1 = 'http://p1:8000'
export const P2 = 'http://p2:8000'
export const D1 = 'http://d1:8000'
export const D2 = 'http://d2:8000'

type Protocol = NonNullable<ConfigInput['pdProtocol']>
type Words = Readonly<Record<string, unknown>>

interface Mode {
  readonly engine: EngineOptions['engine']
  readonly connector?: EngineOptions['connector']
  /** KV is handed over in a way that engines can tell of. */
  readonly isSeen?: boolean
}

/** The ways of handing over, and the engines that know them. */
export const MODES: Readonly<Record<Protocol, Mode>> = {
  sglang: { engine: 'sglang' },
  nixl: { engine: 'vllm', connector: 'nixl' },
  orchestrated: { engine: 'vllm', connector: 'nixl' },
  nixl_p2p: { engine: 'vllm', connector: 'nixl' },
  p2p: { engine: 'vllm', connector: 'p2p' },
  mooncake: { engine: 'vllm', connector: 'mooncake' },
  moriio: { engine: 'vllm', connector: 'mooncake' },
  distserve: { engine: 'lmdeploy' },
  plain: { engine: 'vllm', isSeen: false },
}

/** A fleet of prefill and decode engines that reach each other, on sockets or without. */
export function fleetOf(
  mode: Mode,
  names: readonly string[],
  options: Partial<EngineOptions> = {},
): Record<string, Engine> {
  const fleet: Record<string, Engine> = {}
  const fetch = ((input: string, init?: RequestInit) => {
    const other = fleet[new URL(input).origin]
    return other ? other.fetch(new Request(input, init)) : globalThis.fetch(input, init)
  }) as typeof globalThis.fetch
  for (const name of names) {
    const role = name.startsWith('http://p') ? 'prefill' : name.startsWith('http://d') ? 'decode' : 'mixed'
    const { connector, engine: kind } = mode
    fleet[name] = engine({
      engine: kind,
      ...(connector && { connector }),
      role,
      fetch,
      handoverTimeout: 1000,
      ...options,
    })
  }
  return fleet
}

/** The workers of a fleet with their roles. */
export const workersOf = (fleet: Readonly<Record<string, unknown>>): NonNullable<ConfigInput['workers']> =>
  Object.keys(fleet).map((url) =>
    url.startsWith('http://p')
      ? { url, role: 'prefill', bootstrapPort: 8000 }
      : url.startsWith('http://d')
        ? { url, role: 'decode' }
        : url,
  )

/** A router over a fleet that hands over in one way. */
export async function openPairs(
  { open }: Pick<Start, 'open'>,
  protocol: Protocol,
  {
    names = [P1, D1],
    config = {},
    options = {},
  }: {
    names?: readonly string[]
    config?: ConfigInput
    options?: Partial<EngineOptions>
  } = {},
): Promise<{ rig: Rig; fleet: Record<string, Engine>; prefill: Engine; decode: Engine }> {
  const fleet = fleetOf(MODES[protocol], names, options)
  const rig = await open({ workers: workersOf(fleet), pdProtocol: protocol, ...config }, fleet)
  return { rig, fleet, prefill: fleet[P1] as Engine, decode: fleet[D1] as Engine }
}

const inference = (one: Engine) =>
  callsOf(one).filter(({ path }) => !path.startsWith('/distserve') && path !== '/query')

/** What an engine got on its last inference call. */
const bodyOf = (one: Engine): Words => JSON.parse(inference(one).at(-1)?.body ?? '{}') as Words

const states = (one: Engine) => one.seen().handovers.map(({ state }) => state)

const LONG = chat({ messages: [{ role: 'user', content: 'Tell me of rivers. '.repeat(20) }], max_tokens: 9 })

/** What one engine without a role says to the same call. */
async function alone(mode: Mode, body: object, path = CHAT): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  const one = engine({ engine: mode.engine })
  return one.fetch(new Request(`http://w${path}`, { method: 'POST', headers, body: JSON.stringify(body) }))
}

const MODE_JOURNEYS = Object.fromEntries(
  Object.entries(MODES).map(([name, mode]) => [
    `${name}: two engines answer as one would, whole and streamed`,
    unless('dialled-in', async ({ open }: Start) => {
      const { rig, prefill, decode } = await openPairs({ open }, name as Protocol)
      const single = await (await alone(mode, LONG)).json()
      const whole = await rig.post(CHAT, LONG)
      assert.equal(whole.status, 200, whole.text)
      assert.deepEqual(whole.body.choices, single.choices)
      assert.deepEqual(whole.body.usage, single.usage)
      assert.equal(whole.headers.get('x-fetchway-worker'), (await rig.worker(D1)).id)
      const streamed = await rig.post(CHAT, { ...LONG, stream: true })
      assert.equal(saidIn(streamed.text), single.choices[0].message.content)
      assert.deepEqual([inference(prefill).length, inference(decode).length], [2, 2])
      if (mode.isSeen !== false) {
        assert.deepEqual(
          [states(prefill), states(decode)],
          [
            ['taken', 'taken'],
            ['received', 'received'],
          ],
        )
      }
      await rig.rests()
      const [given, taken] = [await rig.worker(P1), await rig.worker(D1)]
      assert.deepEqual([given.served, taken.served], [2, 2])
    }),
  ]),
)

export const pairs: Journeys = {
  ...MODE_JOURNEYS,

  'what a client says of hand-overs is taken out, and workers get their own keys': unless(
    'dialled-in',
    async ({ open }) => {
      const fleet = fleetOf(MODES.nixl, [P1, D1], { apiKey: 'k' })
      const rig = await open({ workers: workersOf(fleet), workerApiKey: 'k' }, fleet)
      const forged = {
        kv_transfer_params: { do_remote_prefill: true, remote_engine_id: 'x' },
        with_cache: true,
      }
      const reply = await rig.post(
        CHAT,
        { ...LONG, ...forged, bootstrap_room: 5 },
        { authorization: 'Bearer c' },
      )
      assert.equal(reply.status, 200, reply.text)
      const [given, taken] = [bodyOf(fleet[P1]!), bodyOf(fleet[D1]!)]
      for (const body of [given, taken])
        assert.deepEqual([body['with_cache'], body['bootstrap_room']], [undefined, undefined])
      assert.deepEqual((given['kv_transfer_params'] as Words)['remote_engine_id'], null)
      assert.deepEqual([given['max_tokens'], given['min_tokens'], given['stream']], [1, 1, false])
      assert.equal(taken['max_tokens'], LONG.max_tokens)
      const id = inference(fleet[P1]!).map((call) => headerOf(call, 'x-request-id'))
      assert.deepEqual(
        inference(fleet[D1]!).map((call) => headerOf(call, 'x-request-id')),
        id,
      )
    },
  ),

  'a client that leaves its stream ends the work of both engines': unless('dialled-in', async ({ open }) => {
    for (const protocol of ['sglang', 'nixl', 'distserve'] as const) {
      const { rig, prefill, decode } = await openPairs({ open }, protocol, {
        options: { speed: 1, stepMs: 10 },
      })
      const leave = new AbortController()
      const body = { ...LONG, stream: true, max_tokens: 2000, ignore_eos: true }
      const response = await rig.request(CHAT, { body, signal: leave.signal })
      await response.body!.getReader().read()
      leave.abort()
      await eventually(
        () => decode.seen().aborted === 1 && prefill.seen().running === 0,
        () => `${protocol}: ${JSON.stringify(decode.seen().aborted)}`,
      )
      await rig.rests()
    }
  }),

  'a pair of which one leg dies is sent again once, in a new room': unless('dialled-in', async ({ open }) => {
    for (const protocol of ['sglang', 'nixl', 'distserve'] as const)
      for (const bad of [P1, D1]) {
        const names = [P1, P2, D1, D2]
        const { rig, fleet } = await openPairs({ open }, protocol, {
          names,
          config: { policy: 'round_robin' },
        })
        const fault = 'path=/v1/chat; die-before-head; times=1'
        const headers = { 'content-type': 'application/json' }
        const body = JSON.stringify({ fault })
        await fleet[bad]!.fetch(new Request(`${bad}/fault`, { method: 'POST', headers, body }))
        const reply = await rig.post(CHAT, LONG)
        assert.equal(reply.status, 200, `${protocol} ${bad}: ${reply.text}`)
        await eventually(
          () => Object.values(fleet).every((one) => one.seen().running === 0),
          () => 'an engine runs on',
        )
        const rooms = Object.values(fleet).flatMap((one) => one.seen().handovers)
        assert.equal(rooms.filter(({ state }) => state === 'received').length, 1)
        await rig.rests()
      }
  }),

  'two prefill and two decode workers are all used': unless('dialled-in', async ({ open }) => {
    const names = [P1, P2, D1, D2]
    const { rig, fleet } = await openPairs({ open }, 'nixl', { names })
    for (let round = 0; round < 12; round++) {
      const messages = [{ role: 'user', content: `${round} `.repeat(300) }]
      assert.equal((await rig.post(CHAT, chat({ messages }))).status, 200)
    }
    for (const name of names) assert.ok(inference(fleet[name]!).length > 0, `${name} got nothing`)
  }),
}
