// A pool in several shards, as a client and an operator see it: they see one.
import assert from 'node:assert/strict'
import type { Journeys } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, W1, W2, type Json, type Rig } from './_rig.ts'

/** A conversation without a session. */
const conversation = (name: string, turns: number) =>
  chat({
    messages: [
      { role: 'system', content: 'Be brief.' },
      ...Array.from({ length: 2 * turns - 1 }, (_, i) => ({
        role: i % 2 ? 'assistant' : 'user',
        content: i === 0 ? `${name} asks ${'something '.repeat(300)}` : `turn ${i} of ${name}`,
      })),
    ],
  })

async function workerOf(rig: Rig, body: unknown): Promise<Json> {
  const reply = await rig.post(CHAT, body)
  assert.equal(reply.status, 200, reply.text)
  const id = reply.headers.get('x-fetchway-decision') as string
  return { worker: reply.headers.get('x-fetchway-worker'), id }
}

export const shards: Journeys = {
  async 'two shards keep conversations at their workers, spread the work, and are explained as one pool'({
    open,
  }) {
    const [one, other] = [engine(), engine()]
    const rig = await open({ poolShards: 2 }, { [W1]: one, [W2]: other })
    const homes = new Map<string, Json>()
    // Where a new one goes is drawn by its text and the workers' addresses, which differ each time: enough for both to get some.
    for (let i = 0; i < 32; i++) {
      homes.set(`c${i}`, await workerOf(rig, conversation(`c${i}`, 1)))
      await rig.settled()
    }
    assert.ok(callsOf(one).length >= 3 && callsOf(other).length >= 3)
    for (const [name, { worker }] of homes) {
      assert.equal((await workerOf(rig, conversation(name, 2))).worker, worker, name)
      await rig.settled()
    }
    for (const { id, worker } of homes.values()) {
      const { status, body } = await rig.admin('GET', `/fetchway/v1/decisions/${id}`)
      assert.equal(status, 200)
      assert.equal(body.worker, worker)
    }
    await eventually(
      async () => (await rig.workers()).reduce((sum, { served }) => sum + (served as number), 0) === 64,
      () => 'the shards count their calls as one pool',
    )
  },

  async 'two shards keep to a limit together, and the one gets the place that the other gives back'({
    open,
  }) {
    const slow = engine({ speed: 1 })
    const rig = await open({ poolShards: 2, maxInFlightPerWorker: 1 }, { [W1]: slow })
    const asked = Array.from({ length: 6 }, (_, i) =>
      rig.post(CHAT, chat({ messages: [{ role: 'user', content: `Who is ${i}?` }], max_tokens: 2 })),
    )
    const replies = await Promise.all(asked)
    assert.deepEqual(
      replies.map(({ status }) => status),
      replies.map(() => 200),
    )
    assert.equal(callsOf(slow).length, 6)
  },
}
