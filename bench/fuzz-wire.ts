// Fuzzes our HTTP/1.1 client against undici: `node bench/fuzz-wire.ts [seconds] [seed]`.
import fc from 'fast-check'
import { answer } from '../test/adapters/node/wire/_answers.ts'
import { bench } from '../test/adapters/node/wire/_clients.ts'
import { hold } from '../test/adapters/node/wire/_oracle.ts'

const seconds = Number(process.argv[2] ?? 180)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
const until = Date.now() + seconds * 1000

const { compare, close } = await bench()
const property = fc.asyncProperty(answer, async (given) => {
  const { ours, oracle } = await compare(given)
  hold(given, ours, oracle)
})
let runs = 0
while (Date.now() < until) {
  await fc.assert(property, { seed: seed + runs, numRuns: 200 })
  runs += 200
}
await close()
console.log(`${runs} answers, seed ${seed}: as undici, but for what is meant to differ`)
