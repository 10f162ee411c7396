import { test } from 'node:test'
import fc from 'fast-check'
import { answer } from './_answers.ts'
import { bench } from './_clients.ts'
import { hold } from './_oracle.ts'

test('any answer, torn anywhere, is read as undici reads it, and no byte of it reaches the next request', async (t) => {
  const { compare, close } = await bench()
  t.after(close)
  const property = fc.asyncProperty(answer, async (given) => {
    const { ours, oracle } = await compare(given)
    hold(given, ours, oracle)
  })
  // Other seeds are for bench/fuzz-wire.ts, which has minutes.
  await fc.assert(property, { seed: 20, numRuns: 250, interruptAfterTimeLimit: 8000 })
})
