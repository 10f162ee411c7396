import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../src/config/nearest.ts'

const NAMES = ['port', 'policy', 'queueTimeout', 'maxInFlight', 'worker', 'retries']

for (const [word, name] of [
  ['prot', 'port'],
  ['polcy', 'policy'],
  ['queue_timeout', 'queueTimeout'],
  ['QUEUE-TIMOUT', 'queueTimeout'],
  ['maxinflights', 'maxInFlight'],
  ['worker-urls', 'worker'],
  ['retrys', 'retries'],
  ['xyz', null],
  ['', null],
] as const) {
  test(`${JSON.stringify(word)} was meant to be ${name ?? 'none of them'}`, () => {
    assert.equal(nearest(word, NAMES), name)
  })
}
