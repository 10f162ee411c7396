import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { after, before, test } from 'node:test'
import { certificatesOf } from '../../../adapters/node/certificates.ts'
import { createFetch } from '../../../adapters/node/fetch.ts'
import { configSchema } from '../../../src/config/schema.ts'

const file = (name: string) => new URL(`tls/${name}`, import.meta.url).pathname
const FILES = {
  workerTlsCert: file('cert.pem'),
  workerTlsKey: file('key.pem'),
  workerTlsCa: [file('cert.pem')],
}

let url = ''
const closing: (() => void)[] = []

before(async () => {
  const [cert, key] = await Promise.all([readFile(file('cert.pem')), readFile(file('key.pem'))])
  const server = createServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: true })
  server.on('request', ({ socket }, response) =>
    response.end(String((socket as TLSSocket).getPeerCertificate().subject.CN)),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `https://localhost:${(server.address() as AddressInfo).port}`
  closing.push(() => server.close())
})
after(() => {
  for (const close of closing) close()
})

async function ask(given: object): Promise<string> {
  const fetch = createFetch(undefined, certificatesOf(configSchema.parse(given)))
  closing.push(() => fetch.close())
  const worker = { id: 'w', url, engine: 'vllm' }
  const outgoing = { method: 'GET', path: '/', headers: [], body: null, connectTimeout: 10_000 }
  const upstream = await fetch(worker, { ...outgoing, signal: AbortSignal.timeout(3000) })
  return new TextDecoder().decode(await upstream.bytes(1000))
}

test('a worker that asks for a certificate is shown ours, and checked by its own authority', async () => {
  assert.equal(await ask(FILES), 'localhost')
})

test('without one it answers nothing', async () => {
  await assert.rejects(ask({ workerTlsCa: FILES.workerTlsCa }))
})

test('an authority that is not named is not trusted', async () => {
  const { workerTlsCert, workerTlsKey } = FILES
  await assert.rejects(ask({ workerTlsCert, workerTlsKey }), /cannot connect/)
})

test('a file that is not there is told at the start', () => {
  assert.throws(() => certificatesOf(configSchema.parse({ workerTlsCa: ['/nowhere.pem'] })), /nowhere.pem/)
})
