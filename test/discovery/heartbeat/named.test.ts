// What workers that beat need not tell: models that are configured, and connectors that their engine does not have.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBeat } from '../../../src/discovery/heartbeat/beat.ts'
import { registryRig } from '../../actors/_registry.ts'

test('workers that name no models have those that are configured', async () => {
  const { registry, clock, start } = registryRig({ heartbeatModels: ['m'] }, {})
  await start()
  await registry.beat({ type: 'P', http_address: 'p:1', zmq_address: 'p:2' }, true)
  await registry.beat({ type: 'P', http_address: 'q:1', zmq_address: 'q:2', models: ['own'] }, true)
  await clock.advance(0)
  const members = registry.members(0)?.members ?? []
  assert.deepEqual(
    members.map(({ models }) => models),
    [['m'], ['own']],
  )
})

for (const more of [{ engine: 'sglang' }, { bootstrap_port: 8998 }])
  test(`a prefill worker with ${JSON.stringify(more)} needs no connector's address`, () => {
    const { spec } = readBeat({ type: 'P', http_address: 'p:1', ...more }, true)
    assert.equal(spec.role, 'prefill')
  })
