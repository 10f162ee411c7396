// Where prompts go by what workers have read before: the default policy as a client sees it.
import assert from 'node:assert/strict'
import type { Journeys } from './_journeys.ts'
import { callsOf, chat, CHAT, engine, eventually, W1, W2, WORKERS, type Rig } from './_rig.ts'

/** Words of a prompt that no other shares. */
const words = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name} says number ${i}`).join(', ')

/** A conversation that goes on: its long beginning, and so many turns. */
const conversation = (name: string, turns = 1) =>
  chat({
    messages: Array.from({ length: 2 * turns - 1 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content: i === 0 ? words(name, 400) : `turn ${i} of ${name}`,
    })),
  })

const streamed = (content: string) =>
  chat({ messages: [{ role: 'user', content }], stream: true, max_tokens: 6 })

const inFlight = (rig: Rig, count: number) => async () => (await rig.worker(W1)).in_flight === count

/** Where a new conversation goes is drawn by its text and the workers' addresses, which differ each time: so many go all to one as good as never. */
const MANY = 40

async function homeOf(rig: Rig, body: unknown): Promise<string> {
  const reply = await rig.post(CHAT, body)
  assert.equal(reply.status, 200)
  return reply.headers.get('x-fetchway-worker') as string
}

export const prefixes: Journeys = {
  async 'a conversation goes back to the worker that has read it, and others are spread'({ open }) {
    const rig = await open({}, { [W1]: engine(), [W2]: engine() })
    const homes = new Map<string, string>()
    const spread = () => new Set(homes.values()).size
    for (let i = 0; i < 8 || (spread() < 2 && i < MANY); i++) {
      homes.set(`c${i}`, await homeOf(rig, conversation(`c${i}`)))
      await rig.settled()
    }
    assert.equal(spread(), 2)
    for (const [name, home] of homes)
      for (const turns of [2, 3]) {
        assert.equal(await homeOf(rig, conversation(name, turns)), home)
        await rig.settled()
      }
    assert.ok((await rig.metric('fetchway_index_bytes')) > 0)
    assert.ok((await rig.metric('fetchway_worker_index_tokens')) > 8 * 1000)
  },

  async 'routers that share nothing send a new conversation to the same worker'({ open }) {
    const fleet = { [W1]: engine(), [W2]: engine() }
    // Workers that dial in have been with the one longer than with the other.
    const config = { slowStart: '0s' }
    const [one, other] = [await open(config, fleet), await open(config, fleet)]
    for (let i = 0; i < 6; i++) {
      const seen = await Promise.all([one, other].map((rig) => homeOf(rig, conversation(`c${i}`))))
      const urls = await Promise.all(
        [one, other].map(async (rig, at) => {
          const worker = (await rig.workers()).find(({ id }) => id === seen[at])
          return worker.url === rig.url(W1) ? W1 : W2
        }),
      )
      assert.equal(urls[0], urls[1])
      await Promise.all([one.settled(), other.settled()])
    }
  },

  async 'a worker that is loaded is left for another though it has read the conversation'({ open }) {
    const [w1, w2] = [engine(), engine()]
    const rig = await open({}, { [W1]: w1, [W2]: w2 })
    const home = await homeOf(rig, conversation('c', 1))
    await rig.settled()
    const isFirst = (await rig.worker(W1)).id === home
    const other = (await rig.worker(isFirst ? W2 : W1)).id
    // Nothing but the holder is there to take what waits long for its first token.
    await rig.admin('POST', `${WORKERS}/${other}/drain`)
    const running = Array.from({ length: 8 }, (_, i) => {
      const body = { ...conversation(`other ${i}`), stream: true }
      return rig.post(CHAT, body, { 'x-fault': 'delay=2500ms' })
    })
    await rig.busy(isFirst ? w1 : w2, 9)
    await rig.admin('POST', `${WORKERS}/${other}/undrain`)
    assert.equal(await homeOf(rig, conversation('c', 2)), other)
    for (const { status } of await Promise.all(running)) assert.equal(status, 200)
  },

  async 'a cache that is emptied through the router is known to be empty'({ open }) {
    const [w1, w2] = [engine(), engine({ engine: 'sglang' })]
    const rig = await open({}, { [W1]: w1, [W2]: w2 })
    const { id } = await rig.worker(W1)
    const told = async (worker: string) => (await rig.worker(worker)).index_tokens as number
    const areBothTold = async () => (await told(W1)) > 0 && (await told(W2)) > 0
    for (let i = 0; i < MANY && !(await areBothTold()); i++) {
      await homeOf(rig, conversation(`c${i}`))
      await rig.settled()
    }
    assert.ok(await areBothTold())
    const reply = await rig.admin('POST', '/reset_prefix_cache')
    assert.equal(reply.status, 200)
    assert.deepEqual(
      reply.body.data.map((one: { worker: string }) => one.worker),
      [id],
    )
    assert.ok(callsOf(w1).some(({ path }) => path === '/reset_prefix_cache'))
    assert.equal(await told(W1), 0)
    assert.ok((await told(W2)) > 0)
    assert.equal((await rig.admin('POST', '/fetchway/v1/flush_cache')).status, 200)
    assert.equal(await told(W2), 0)
    assert.equal((await rig.admin('POST', '/fetchway/v1/flush_cache?worker=w-none')).status, 404)
  },

  async 'bound late, a call waits in the router until a worker has nearly read what it was sent'({ open }) {
    const slow = engine({ speed: 1, prefillTokensPerSecond: 6000 })
    const rig = await open({ binding: 'late', prefillSpeed: 6000 }, { [W1]: slow })
    const sent = (name: string, count: number) => rig.post(CHAT, streamed(words(name, count)))
    const bindingOf = async () => (await rig.worker(W1)).binding as string
    assert.equal(await bindingOf(), 'learning')
    // Those behind a long one are answered after it: so it reads in order. A busy machine may send them too late to tell.
    for (let round = 0; round < 5 && (await bindingOf()) !== 'late'; round++) {
      const long = sent(`long ${round}`, 800)
      await eventually(inFlight(rig, 1), () => 'the long one never went')
      const short = Array.from({ length: 12 }, (_, i) => sent(`short ${round} ${i}`, 2))
      for (const { status } of await Promise.all([long, ...short])) assert.equal(status, 200)
      await eventually(inFlight(rig, 0), () => 'calls never ended')
    }
    assert.equal(await bindingOf(), 'late')
    const ahead = sent('ahead', 800)
    await eventually(inFlight(rig, 1), () => 'the one ahead never went')
    const [, reply] = await Promise.all([ahead, sent('behind', 2)])
    const id = reply.headers.get('x-fetchway-decision')
    const { body } = await rig.admin('GET', `/fetchway/v1/decisions/${id}`)
    assert.equal(body.waited_for, 'backlog')
    assert.ok(body.waited_ms > 50, String(body.waited_ms))
  },

  async 'policies that ask for no prompts keep no index'({ open }) {
    const rig = await open({ policy: 'least_load' }, { [W1]: engine() })
    await homeOf(rig, conversation('c'))
    assert.equal(await rig.metric('fetchway_index_bytes'), 0)
  },
}
