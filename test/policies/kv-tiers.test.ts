import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { chooserOf, policyOf, type PoolSense } from '../../src/policies/policy.ts'
import { TIERS, type KvTier } from '../../src/prefix/kv-tiers.ts'
import { ask } from '../actors/_pool.ts'
import { worker } from './_fleet.ts'

type Held = Readonly<Record<string, Partial<Record<KvTier | 'device', number>>>>

/** Who gets a prompt of 1,000 tokens that the workers hold so much of, each tier with what is nearer. */
function chosen(held: Held, given: ConfigInput = {}): string {
  const config = configSchema.parse({ policy: 'kv_aware', ...given })
  const choose = chooserOf(policyOf('kv_aware'), config)
  const candidates = Object.keys(held).map((id) => worker(id))
  const sense = {
    now: 0,
    random: () => 0,
    promptTokens: 1000,
    match: (id: string) => held[id]?.device ?? 0,
    matchIn: (id: string, tier: KvTier) => held[id]?.[tier] ?? 0,
  } as unknown as PoolSense
  const call = ask({ prefix: Float64Array.of(1) })
  return candidates[choose(call, candidates, sense)]?.id ?? ''
}

test('kv_aware: a token in host memory is worth 0.8 of one on the GPU', () => {
  assert.equal(chosen({ a: { device: 500 }, b: { host: 640 } }), 'b')
  assert.equal(chosen({ a: { device: 500 }, b: { host: 610 } }), 'a')
})

for (const [tier, key] of [
  ['host', 'kvHostWorth'],
  ['external', 'kvExternalWorth'],
  ['disk', 'kvDiskWorth'],
] as const)
  test(`kv_aware: ${key} decides whether ${tier} is better than less on the GPU`, () => {
    const held: Held = { a: { device: 400 }, b: { [tier]: 800 } }
    assert.equal(chosen(held, { [key]: 0.9 }), 'b')
    assert.equal(chosen(held, { [key]: 0.1 }), 'a')
  })

test('kv_aware: what a nearer tier has counts as there', () => {
  const everywhere = Object.fromEntries(TIERS.map((tier) => [tier, 500]))
  assert.equal(chosen({ a: { device: 450 }, b: { ...everywhere } }, { kvHostWorth: 1, kvDiskWorth: 0 }), 'b')
})
