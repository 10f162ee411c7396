import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { makeAlike } from '../../../adapters/node/alike.ts'
import { serve } from '../../../adapters/node/http.ts'
import { TextResponse } from '../../../adapters/node/text-response.ts'
import type { ReplyInit } from '../../../src/routes/reply.ts'
import { exchange } from './rig.ts'

const JSON_HEADERS = { 'content-type': 'application/json', 'x-fetchway-error': 'no_workers' }
const CASES: readonly [name: string, text: string, init: ReplyInit][] = [
  ['an answer', '{"a":1}', { status: 200, headers: { 'content-type': 'application/json' } }],
  ['an empty one', '', { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' } }],
  ['text beyond ASCII', 'naïve … 🙂 \ud800', { status: 503, headers: { 'content-type': 'text/plain' } }],
  [
    'unsorted headers',
    '{}',
    { status: 429, headers: { ...JSON_HEADERS, 'x-request-id': 'a', 'retry-after': '1' } },
  ],
  [
    'spelled names',
    '{}',
    { status: 401, headers: { ...JSON_HEADERS, 'X-Request-Id': 'a', 'WWW-Authenticate': 'Bearer' } },
  ],
]
const ASKED = {
  GET: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  HEAD: 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'HTTP/1.0': 'GET / HTTP/1.0\r\n\r\n',
  'a body that is not whole': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n',
  'an upgrade': 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
}

/** All that a client gets. */
async function sent(t: TestContext, response: () => Response, request: string): Promise<string> {
  const served = await serve(() => {
    const answer = response()
    answer.headers.set('Access-Control-Allow-Origin', '*')
    answer.headers.append('vary', 'Origin')
    return answer
  })
  t.after(() => served.close(0))
  return (await exchange(t, served.url, request)).replace(/Date: .*\r\n/, '')
}

for (const [name, text, init] of CASES) {
  test(`${name} goes out as the same Response does`, async (t) => {
    const light = () => new TextResponse(text, init) as unknown as Response
    for (const [asked, request] of Object.entries(ASKED)) {
      assert.equal(
        await sent(t, light, request),
        await sent(t, () => new Response(text, init), request),
        asked,
      )
    }
  })
}

test('what reads one gets its text, headers and status, as from a Response', async () => {
  const light = new TextResponse('{"a":1}', { status: 202, headers: { location: '/b' } })
  assert.deepEqual([light.status, light.ok, light.headers.get('Location')], [202, true, '/b'])
  assert.deepEqual(await light.json(), { a: 1 })
})

test('one is a Response for whoever may ask', () => {
  makeAlike()
  assert.ok((new TextResponse('', { status: 200, headers: {} }) as unknown) instanceof Response)
})
