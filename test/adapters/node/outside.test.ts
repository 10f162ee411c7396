import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { createOutside } from '../../../adapters/node/outside.ts'

const cert = readFileSync(new URL('tls/cert.pem', import.meta.url), 'utf8')
const key = readFileSync(new URL('tls/key.pem', import.meta.url), 'utf8')

/** Tells whether the client showed a certificate that it knows; `/watch` begins an answer that does not end. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const { authorized } = request.socket as TLSSocket
  if (request.url === '/watch') response.write('{"type":"BOOKMARK"}\n')
  else response.writeHead(request.url === '/gone' ? 410 : 200, { 'x-one': 'two' }).end(String(authorized))
}

const server = createServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: false }, answer)
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
const outside = createOutside()
after(() => {
  outside.close()
  server.closeAllConnections()
  server.close()
})

const { signal } = new AbortController()
const ask = (path: string, tls: object) => outside.fetch(url + path, { headers: {}, signal, tls })

describe('a server with an authority of its own', () => {
  it('is reached by that authority, and not without it', async () => {
    assert.equal((await ask('/', { ca: cert })).status, 200)
    await assert.rejects(ask('/', {}), /self-signed/)
  })

  it('is shown a client certificate', async () => {
    assert.equal(await (await ask('/', { ca: cert })).text(), 'false')
    assert.equal(await (await ask('/', { ca: cert, cert, key })).text(), 'true')
  })

  it('must have the name that is wanted', async () => {
    assert.equal((await ask('/', { ca: cert, serverName: 'localhost' })).status, 200)
    await assert.rejects(ask('/', { ca: cert, serverName: 'kube.local' }), /does not match|altnames/)
  })

  it('is not checked where that is asked for', async () => {
    assert.equal((await ask('/', { isUnchecked: true })).status, 200)
  })

  it('answers with status and headers', async () => {
    const response = await ask('/gone', { ca: cert })
    assert.deepEqual([response.status, response.headers.get('x-one')], [410, 'two'])
  })
})

describe('an answer that does not end', () => {
  const begin = async (own: AbortSignal, from = outside) => {
    const response = await from.fetch(`${url}/watch`, { headers: {}, signal: own, tls: { ca: cert } })
    const reader = response.body!.getReader()
    await reader.read()
    return reader.read()
  }

  it('ends by its signal', async () => {
    const abort = new AbortController()
    const reading = begin(abort.signal)
    setImmediate(() => abort.abort())
    await assert.rejects(reading)
  })

  it('ends when all is closed', async () => {
    const own = createOutside()
    const reading = begin(signal, own)
    setTimeout(() => own.close(), 50)
    await assert.rejects(reading)
  })
})
