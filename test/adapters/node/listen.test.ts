import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveMetrics } from '../../../adapters/node/listen.ts'
import { configSchema } from '../../../src/config/schema.ts'
import type { LogEvent } from '../../../src/host.ts'

const handler = () => new Response('metrics')
const config = (metricsListen?: string) =>
  configSchema.parse(metricsListen === undefined ? {} : { metricsListen })

test('metrics have a listener of their own where one is named, whatever the path', async (t) => {
  const served = await serveMetrics(handler, config('127.0.0.1:0'), {}, () => assert.fail('logged'))
  t.after(() => served?.close(0))
  assert.equal(await (await fetch(`${served?.url}/any/path`)).text(), 'metrics')
})

test('without one there is none', async () => {
  assert.equal(await serveMetrics(handler, config(), {}, () => assert.fail('logged')), null)
})

test('an address that is taken is logged, and the router goes on', async (t) => {
  const logged: LogEvent[] = []
  const first = await serveMetrics(handler, config('127.0.0.1:0'), {}, () => undefined)
  t.after(() => first?.close(0))
  const where = `127.0.0.1:${first?.port}`
  assert.equal(await serveMetrics(handler, config(where), {}, (event) => logged.push(event)), null)
  assert.deepEqual(
    logged.map(({ level, message }) => [level, message]),
    [['error', `no metrics at ${where}: EADDRINUSE`]],
  )
})
