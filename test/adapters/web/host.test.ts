import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { createWebHost } from '../../../adapters/web/host.ts'
import { configSchema } from '../../../src/config/schema.ts'
import { UpstreamFailure } from '../../../src/host.ts'
import type { Outgoing } from '../../../src/host.ts'
import { worker } from '../node/rig.ts'
import type { Peer } from '../node/rig.ts'

async function relayed(t: TestContext, script: (peer: Peer) => unknown) {
  const { ref, peers } = await worker(t, script)
  const host = createWebHost(configSchema.parse({}), { log: () => undefined })
  const told: string[] = []
  const upstream = await host.fetch(ref, outgoing())
  const response = host.relay(upstream, upstream, {
    chunk: (bytes) => bytes,
    end: () => (told.push('end'), null),
    fail: (failure) => (told.push(failure.kind), null),
    leave: () => void told.push('leave'),
  })
  return { response, told, peers, upstream }
}

function outgoing(changes: Partial<Outgoing> = {}): Outgoing {
  const signal = new AbortController().signal
  const body = [Buffer.from('bo'), Buffer.from('dy')]
  return { method: 'POST', path: '/v1', headers: ['x-a', 'b'], body, connectTimeout: 0, signal, ...changes }
}

test('a body passes with its status and headers, and its end is told', async (t) => {
  const { response, told, peers } = await relayed(t, async (peer) => {
    await peer.until('body')
    peer.socket.write('HTTP/1.1 418 Odd\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello')
  })
  assert.equal(await response.text(), 'hello')
  assert.deepEqual([response.status, response.headers.get('x-a'), told], [418, 'b', ['end']])
  assert.match(peers[0]!.text, /accept-encoding: identity/)
  assert.match(peers[0]!.text, /content-length: 4/)
})

test('a body that breaks breaks the answer, and is told', async (t) => {
  const { response, told } = await relayed(t, async (peer) => {
    await peer.until('body')
    peer.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello')
  })
  await assert.rejects(response.text())
  assert.deepEqual(told, ['reset'])
})

test('a client that leaves closes the worker', async (t) => {
  const { response, told, peers } = await relayed(t, async (peer) => {
    await peer.until('body')
    peer.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  })
  const reader = response.body!.getReader()
  await reader.read()
  await reader.cancel()
  await peers[0]!.closed
  assert.deepEqual(told, ['leave'])
})

test('an abort and an unreachable worker are told apart', async (t) => {
  const { ref } = await worker(t, () => undefined)
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  const host = createWebHost(configSchema.parse({}), { log: () => undefined })
  const controller = new AbortController()
  const pending = host.fetch(ref, outgoing({ signal: controller.signal }))
  controller.abort(new UpstreamFailure('total_timeout', 'late'))
  await assert.rejects(pending, { kind: 'total_timeout' })
  await assert.rejects(host.fetch({ ...ref, url: `http://127.0.0.1:${port}` }, outgoing()), {
    kind: 'connect',
  })
})
