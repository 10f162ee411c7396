import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { reachOf } from '../../../adapters/node/certificates.ts'
import { createFetch } from '../../../adapters/node/fetch.ts'
import { createUpgrade } from '../../../adapters/node/upgrade.ts'
import { serve } from '../../../adapters/node/http.ts'
import { configSchema } from '../../../src/config/schema.ts'

const file = (name: string) => new URL(`tls/${name}`, import.meta.url).pathname
const FILES = {
  workerTlsCert: file('cert.pem'),
  workerTlsKey: file('key.pem'),
  workerTlsCa: [file('cert.pem')],
}

/** What a client's WebSocket through a router with that configuration ends in: a message, or an error. */
async function told(t: TestContext, given: object): Promise<string> {
  const [cert, key] = await Promise.all([readFile(file('cert.pem')), readFile(file('key.pem'))])
  const secure = createSecureServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: true })
  const engine = new WebSocketServer({ server: secure })
  engine.on('connection', (socket) => socket.send('in'))
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve))
  const url = `https://localhost:${(secure.address() as AddressInfo).port}`
  const upgrade = createUpgrade(reachOf(configSchema.parse(given)).certificates)
  const outgoing = { method: 'GET', path: '/v1/realtime', headers: [], body: null, connectTimeout: 10_000 }
  const router = await serve(async (request) =>
    upgrade(
      { id: 'w', url, engine: 'vllm' },
      request,
      { ...outgoing, signal: request.signal },
      () => {},
    ).catch(() => new Response(null, { status: 502 })),
  )
  t.after(() => (engine.close(), secure.close(), router.close(0)))
  const socket = new WebSocket(router.url.replace('http', 'ws'))
  t.after(() => socket.terminate())
  return new Promise((resolve) => {
    socket.once('message', (message) => resolve(String(message as Buffer)))
    socket.once('error', () => resolve('refused'))
  })
}

test('a WebSocket reaches a worker that asks for a certificate by the one of the configuration', async (t) => {
  assert.equal(await told(t, FILES), 'in')
})

test('without that certificate the worker takes no WebSocket', async (t) => {
  assert.equal(await told(t, { workerTlsCa: FILES.workerTlsCa }), 'refused')
})

for (const [workerKeepAlive, connections] of [
  ['10s', 1],
  ['off', 2],
] as const)
  test(`workerKeepAlive ${workerKeepAlive}: two calls take ${connections} connections`, async (t) => {
    let count = 0
    const engine = createServer((_, response) => response.end('ok'))
    engine.on('connection', () => count++)
    await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`
    const { certificates, idleMost } = reachOf(configSchema.parse({ workerKeepAlive }))
    const fetch = createFetch(undefined, certificates, idleMost)
    t.after(() => (fetch.close(), engine.close()))
    const outgoing = { method: 'GET', path: '/', headers: [], body: null, connectTimeout: 10_000 }
    for (let i = 0; i < 2; i++) {
      const signal = AbortSignal.timeout(3000)
      const upstream = await fetch({ id: 'w', url, engine: 'vllm' }, { ...outgoing, signal })
      await upstream.bytes(100)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(count, connections)
  })
