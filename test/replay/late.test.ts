import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema } from '../../src/config/schema.ts'
import { DEFAULTS, type ReplayOptions } from '../../src/replay/options.ts'
import { replay } from '../../src/replay/replay.ts'
import type { Trace } from '../../src/replay/trace.ts'
import { seeded } from '../../src/simulator/clock.ts'

/** One prompt in five is long; together they keep two engines busy for nine tenths of the time. */
function mixed(): Trace {
  const random = seeded(1)
  let at = 0
  let block = 0
  const requests = Array.from({ length: 1500 }, () => {
    at += -Math.log(1 - random()) * 0.1
    const input = random() < 0.2 ? 12_000 : 500
    const blocks = Int32Array.from({ length: Math.ceil(input / 512) }, () => block++)
    return { at, input, output: 20, blocks, session: null, prompt: null }
  })
  return { format: 'made', requests, skipped: 0 }
}

/** Mean time to first token: bound late, over bound early. */
async function ratio(change: Partial<ReplayOptions>): Promise<number> {
  const means: number[] = []
  for (const binding of ['early', 'late']) {
    const config = configSchema.parse({
      policy: 'least_cost',
      binding,
      healthInterval: 'off',
      loadInterval: 'off',
      queueTimeout: 'off',
    })
    const options = { ...DEFAULTS, workers: 2, ...change }
    const { figures } = await replay(mixed(), options, { policy: 'least_cost', config, seeds: [0] })
    means.push(figures.ttft_mean_s)
  }
  return (means[1] as number) / (means[0] as number)
}

test('short prompts among long ones get their first tokens sooner when they are bound late', async () => {
  const seen = await ratio({})
  assert.ok(seen < 0.85, String(seen))
})

for (const longPrefill of [2048, 4096])
  test(`an engine that shares its steps by ${longPrefill} tokens is found out, and loses nothing`, async () => {
    const seen = await ratio({ longPrefill })
    assert.ok(seen < 1.02, String(seen))
  })
