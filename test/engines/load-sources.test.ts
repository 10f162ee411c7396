import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { EngineFacts } from '../../src/engines/engine.ts'
import { loadSourcesOf } from '../../src/engines/load-sources.ts'

const told = { publisher: 'zmq', endpoint_host: '*', endpoint_port_base: 5557, topic: 'kv', dp_size: 2 }
const facts = (kvEvents: unknown, engine: EngineFacts['engine'] = 'sglang'): EngineFacts => ({
  engine,
  models: [],
  kvEvents,
})

test('SGLang says where each of its ranks publishes its load', () => {
  const kvEvents = { ...told, load_endpoint_port_base: 5559, load_topic: 'load' }
  assert.deepEqual(loadSourcesOf('http://gpu1:30000', facts(kvEvents)), [
    { rank: 0, endpoint: 'tcp://gpu1:5559', topic: 'load' },
    { rank: 1, endpoint: 'tcp://gpu1:5560', topic: 'load' },
  ])
})

test('a named host is taken as it is', () => {
  const kvEvents = { ...told, endpoint_host: '10.0.0.5', dp_size: 1, load_endpoint_port_base: 6000 }
  assert.deepEqual(loadSourcesOf('http://gpu1:30000', facts(kvEvents)), [
    { rank: 0, endpoint: 'tcp://10.0.0.5:6000', topic: 'load' },
  ])
})

const none: readonly [what: string, url: string, facts: EngineFacts | null][] = [
  ['an engine that publishes no load', 'http://gpu1', facts(told)],
  ['another engine', 'http://gpu1', facts({ load_endpoint_port_base: 6000 }, 'vllm')],
  ['a worker that has not answered', 'http://gpu1', null],
  ['a worker without an address', 'unix:/run/engine.sock', facts({ load_endpoint_port_base: 6000 })],
  ['ports that cannot be', 'http://gpu1', facts({ load_endpoint_port_base: 65_535, dp_size: 2 })],
  ['a port that is none', 'http://gpu1', facts({ load_endpoint_port_base: 'abc' })],
  ['what is no object', 'http://gpu1', facts('zmq')],
]

for (const [what, url, known] of none)
  test(`nobody is followed: ${what}`, () => assert.deepEqual(loadSourcesOf(url, known), []))
