// What a simulated engine costs: CPU time for each chunk of a few hundred streams at once, with their readers.
import { createEngine } from '../src/simulator/engine.ts'

const STREAMS = 256
const TOKENS = 400

const engine = createEngine({ engine: 'vllm', blocks: 10_000 })

async function readStream(index: number): Promise<number> {
  const body = {
    messages: [{ role: 'user', content: `Hello ${index}` }],
    max_tokens: TOKENS,
    ignore_eos: true,
    stream: true,
  }
  const headers = { 'content-type': 'application/json' }
  const request = new Request('http://engine/v1/chat/completions', {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  })
  const response = await engine.fetch(request)
  let chunks = 0
  for await (const _ of response.body as ReadableStream<Uint8Array>) chunks++
  return chunks
}

const started = performance.now()
const before = process.cpuUsage()
const chunks = (await Promise.all(Array.from({ length: STREAMS }, (_, i) => readStream(i)))).reduce(
  (a, b) => a + b,
)
const { user, system } = process.cpuUsage(before)
const seconds = (performance.now() - started) / 1000
const step = 8 + 0.05 * STREAMS
console.log(
  `${STREAMS} streams of ${TOKENS} tokens: ${seconds.toFixed(1)} s (${((step * TOKENS) / 1000).toFixed(1)} s by the model)`,
)
console.log(
  `${((user + system) / chunks).toFixed(1)} µs of CPU a chunk, ${((user + system) / 1e4 / seconds).toFixed(0)} % of a core`,
)
