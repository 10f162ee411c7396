import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'node:test'
import { lived } from './_lived.ts'

/** Keeps this thread from running, without work for the processor. */
const stall = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

test('time in which the process did not run hardly counts', () => {
  const from = lived()
  stall(200)
  assert.ok(lived() - from < 100)
})

test('work that blocks counts, and so does waiting', async () => {
  const from = lived()
  const end = process.cpuUsage().user + 60_000
  while (process.cpuUsage().user < end);
  const worked = lived()
  assert.ok(worked - from > 50, `${worked - from}`)
  const began = performance.now()
  for (let turns = 0; turns < 50; turns++) await wait(2)
  const waited = lived() - worked
  assert.ok(waited > 50 && waited <= performance.now() - began + 1, `${waited}`)
})
