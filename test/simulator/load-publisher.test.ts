import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSockets } from '../../adapters/node/sockets.ts'
import { createTimers } from '../../adapters/web/timers.ts'
import { LoadFeeds } from '../../src/actors/load-feeds.ts'
import { Seat } from '../../src/actors/seat.ts'
import { discover } from '../../src/engines/engine.ts'
import { loadSourcesOf } from '../../src/engines/load-sources.ts'
import { readLoadStat } from '../../src/engines/load-stat.ts'
import { createEngine } from '../../src/simulator/engine.ts'
import { KvPublisher } from '../../src/simulator/kv-publisher.ts'
import { LoadPublisher } from '../../src/simulator/load-publisher.ts'
import { member } from '../actors/_pool.ts'
import { ask, chat } from './_engine.ts'

const ENDPOINT = 'tcp://127.0.0.1:0'

async function busyEngine(calls: number) {
  const engine = createEngine({ engine: 'sglang', speed: 0 })
  // Streams that nobody reads run on.
  for (let i = 0; i < calls; i++)
    await ask(engine, '/v1/chat/completions', chat('hi', { stream: true, max_tokens: 4000 }))
  return engine
}

void test('an engine tells its load in the words of SGLang', async () => {
  const engine = await busyEngine(3)
  const stat = readLoadStat(engine.load.stat()) ?? assert.fail()
  assert.equal(stat.running + stat.waiting, 3)
  assert.equal(stat.capacityTokens, 48_000)
})

void test('what an engine publishes is found by asking it, and followed over a real socket', async () => {
  const engine = await busyEngine(5)
  const clock = { now: () => performance.now(), random: Math.random, timer: createTimers().start }
  const on = { sockets: createSockets(), clock }
  const events = await KvPublisher.bind(engine, on, { endpoint: ENDPOINT })
  const publisher = await LoadPublisher.bind(engine, { ...on, endpoint: ENDPOINT })
  const facts = await discover(async (_method, path) => {
    const response = await engine.fetch(new Request(`http://127.0.0.1${path}`))
    return { status: response.status, headers: {}, text: await response.text() }
  })
  const loadSources = loadSourcesOf('http://127.0.0.1:30000', facts)
  assert.deepEqual(loadSources, [{ rank: 0, endpoint: publisher.endpoint, topic: 'load' }])
  const seat = new Seat(member('w', { loadSources }))
  const running = await new Promise<number>((resolve) => {
    const feeds = new LoadFeeds({ ...clock, sockets: on.sockets }, (_, load) => {
      feeds.meet([])
      resolve(load.running + load.waiting)
    })
    feeds.meet([seat])
  })
  assert.equal(running, 5)
  publisher.close()
  events.close()
})
