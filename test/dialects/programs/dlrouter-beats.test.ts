// SGLang's nodes announce themselves to DLRouter, too, which its README denies.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dlrouter } from '../../../src/dialects/dlrouter/index.ts'
import { engine, eventually } from '../../journeys/_rig.ts'
import { freePort } from '../../journeys/_sockets.ts'
import { beat, statusOf } from './_dlrouter-process.ts'
import { bodyOf } from './_row.ts'
import { engineAt, post, run } from './_running.ts'

test('SGLang: nodes that beat are a pair by bootstrap rooms, and a node that is not ready joins when it is', async (t) => {
  const [p, d] = [engine({ engine: 'sglang', role: 'prefill' }), engine({ engine: 'sglang', role: 'decode' })]
  const port = await freePort()
  const line = `--disable_cache_status --backend sglang --serving_strategy distserve --zmq_host 127.0.0.1 --zmq_port ${port} --zmq_ping_timeout 30`
  const { url } = await run(dlrouter, { t, line })
  const urls = [await engineAt(t, p), await engineAt(t, d)]
  const [prefill = '', decode = ''] = urls.map((one) => one.replace('http://', ''))
  const bootstrap = Number(prefill.split(':')[1])
  d.kill()
  await beat(t, { host: '127.0.0.1', port }, { type: 'P', http_address: prefill, bootstrap_port: bootstrap })
  await beat(t, { host: '127.0.0.1', port }, { type: 'D', http_address: decode, engine: 'sglang' })
  const models = async () => Object.values(await statusOf(url)).map((status) => status.models.join())
  await eventually(
    async () => (await models()).includes('m'),
    () => 'the first was never known',
  )
  assert.equal((await post(url)).status, 503)
  d.revive()
  await eventually(
    async () => (await models()).join() === 'm,m',
    () => 'the second was never known',
  )
  const answer = await post(url)
  assert.equal(answer.status, 200, await answer.text())
  const [first, second] = [bodyOf(p), bodyOf(d)]
  assert.equal(first.bootstrap_port, bootstrap)
  assert.equal(second.bootstrap_room, first.bootstrap_room)
})
