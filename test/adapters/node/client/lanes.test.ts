// How long a client may take: for its head, and between its requests.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { Lanes, type LaneTimes } from '../../../../adapters/node/client/lanes.ts'
import { probe } from '../../../../adapters/node/client/parser.ts'
import type { Turn } from '../../../../adapters/node/client/turn.ts'
import { onClientError } from '../../../../adapters/node/refusals.ts'
import { client } from '../rig.ts'

const shape = probe()
const LONG = 600_000

/** Lanes that answer every request with 204 once its body is here. */
async function rig(t: TestContext, times: Partial<LaneTimes>): Promise<string> {
  const http = createServer()
  const serve = (turn: Turn) => {
    const end = () => {
      turn.begin({ status: 204, statusText: '', headers: [] }, { resume: () => undefined })
      turn.end(null)
    }
    turn.take({ data() {}, end, cut() {} })
  }
  const all = { keepAlive: LONG, head: LONG, looks: 10, ...times }
  const lanes = new Lanes(http, { shape: shape!, times: all, tls: undefined, serve })
  http.on('clientError', (error, socket) => onClientError(error, socket, lanes.isAnswering(socket)))
  lanes.door.listen(0, '127.0.0.1')
  await once(lanes.door, 'listening')
  t.after(() => {
    lanes.closeIdle()
    lanes.door.close()
  })
  return `http://127.0.0.1:${(lanes.door.address() as AddressInfo).port}`
}

const ASK = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'
const slow: Record<string, readonly string[]> = {
  'a client that says nothing at all': [],
  'a client whose first head never ends': ['GET /a HTTP/1.1\r\n', 'Host: a\r\n'],
  'a client whose next head never ends': [ASK, 'GET /b HTTP/1.1\r\n', 'Host: a\r\n'],
}
for (const [name, sent] of Object.entries(slow))
  test(`${name} is told so`, { skip: shape === null }, async (t) => {
    const peer = await client(t, await rig(t, { head: 100 }))
    for (const part of sent) {
      peer.socket.write(part)
      if (part === ASK) await peer.until('\r\n\r\n')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.match(await peer.until('request_timeout'), /HTTP\/1\.1 408 /)
  })

test('a client that takes its time for a body is no slow one', { skip: shape === null }, async (t) => {
  const peer = await client(t, await rig(t, { head: 60 }))
  peer.socket.write('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh')
  await new Promise((resolve) => setTimeout(resolve, 200))
  peer.socket.write('i')
  assert.match(await peer.until('\r\n\r\n'), /^HTTP\/1\.1 204 /)
})

test('a connection that idles is closed without a word', { skip: shape === null }, async (t) => {
  const peer = await client(t, await rig(t, { keepAlive: 60 }))
  const closed = once(peer.socket, 'close')
  peer.socket.write(ASK)
  const text = await peer.until('\r\n\r\n')
  await closed
  assert.match(text, /^HTTP\/1\.1 204 /)
})
