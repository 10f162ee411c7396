// Workers that register themselves by HTTP, as they can on every runtime.
import assert from 'node:assert/strict'
import { encode } from '@msgpack/msgpack'
import type { Journeys } from './_journeys.ts'
import { D1, fleetOf, MODES, P1 } from './_pairs.ts'
import { callsOf, chat, CHAT, engine, eventually, headerOf, unless, W1, type Rig } from './_rig.ts'

const HEARTBEAT = '/fetchway/v1/heartbeat'

const address = (rig: Rig, name: string) => rig.url(name).replace('http://', '')

const ready = (rig: Rig, count: number, again: () => unknown = () => undefined) =>
  eventually(
    async () => {
      await again()
      await rig.pass(1)
      return (await rig.workers()).filter(({ known }) => known).length === count
    },
    () => `not ${count} workers`,
  )

export const beats: Journeys = {
  'a prefill and a decode engine that beat are a pair, by the protocol of their connectors': unless(
    'dialled-in',
    async ({ open, has }) => {
      const fleet = fleetOf(MODES.p2p, [P1, D1])
      const options = { movesClock: !has('real-clock') }
      const ms = has('real-clock') ? 3000 : 1000
      const rig = await open({ workers: [], heartbeatTimeout: `${ms}ms` }, fleet, options)
      assert.equal((await rig.post(CHAT, chat())).status, 503)
      const beat = async () => {
        for (const [type, name] of [
          ['P', P1],
          ['D', D1],
        ] as const) {
          const at = address(rig, name)
          const body = { type, http_address: at, zmq_address: at }
          const heard = await rig.admin('POST', HEARTBEAT, body)
          assert.equal(heard.status, 200, heard.text)
          assert.equal(heard.body.expires_in_ms, ms)
        }
      }
      await ready(rig, 2, beat)
      assert.deepEqual(
        (await rig.workers()).map(({ role, source }) => [role, source]),
        [
          ['prefill', 'beat'],
          ['decode', 'beat'],
        ],
      )
      const reply = await rig.post(CHAT, chat())
      assert.equal(reply.status, 200, reply.text)
      for (const name of [P1, D1]) {
        const [call] = callsOf(fleet[name]!).filter(({ path }) => path === CHAT)
        const id = headerOf(call, 'x-request-id') ?? ''
        const addresses = `___prefill_addr_${address(rig, P1)}___decode_addr_${address(rig, D1)}_`
        assert.ok(id.startsWith(addresses) && /^[0-9a-f]{32}$/.test(id.slice(addresses.length)), id)
      }
      await rig.rests()
      await rig.pass(ms + 1)
      await eventually(
        async () => (await rig.workers()).length === 0,
        () => 'workers that beat no more are there still',
      )
    },
  ),

  'heartbeats need the token, in the header or in the body, in JSON or MessagePack': unless(
    'dialled-in',
    async ({ open }) => {
      const rig = await open({ workers: [], heartbeatToken: 'tk' }, { [W1]: engine() })
      const beat = { type: 'M', http_address: address(rig, W1) }
      const refused = await rig.post(HEARTBEAT, beat)
      assert.deepEqual([refused.status, refused.body.error.code], [401, 'invalid_heartbeat_token'])
      assert.equal((await rig.post(HEARTBEAT, { ...beat, token: 'other' })).status, 401)
      const first = await rig.post(HEARTBEAT, beat, { authorization: 'Bearer tk' })
      assert.deepEqual([first.status, first.body.registered], [200, true])
      const packed = encode({ ...beat, token: 'tk' })
      const headers = { 'content-type': 'application/msgpack' }
      const again = await rig.ask(HEARTBEAT, { method: 'POST', headers, body: packed })
      assert.deepEqual([again.status, again.body.registered], [200, false])
      assert.equal(again.body.worker, first.body.worker)
      await ready(rig, 1)
      assert.equal((await rig.post(CHAT, chat())).status, 200)
    },
  ),

  'what is no heartbeat is refused with a reason': unless('dialled-in', async ({ open }) => {
    const rig = await open({ workers: [] }, { [W1]: engine() })
    for (const body of ['{', '[]', { type: 'X', http_address: 'h:1' }, { type: 'P' }]) {
      const reply = await rig.admin('POST', HEARTBEAT, body)
      assert.deepEqual([reply.status, reply.body.error.code], [400, 'invalid_heartbeat'], reply.text)
    }
    assert.deepEqual(await rig.workers(), [])
  }),
}
