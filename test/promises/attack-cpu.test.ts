// Input that is made to be slow: what comes from a client or a worker costs time by its length, never by its square.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHead } from '../../adapters/node/wire/head.ts'
import { findUsage } from '../../src/openai/usage.ts'
import { createStreamWatch } from '../../src/openai/watch.ts'
import { lived } from '../_lived.ts'
import { router, send } from './_router.ts'

/** Far more than any of these may take, far less than each took once. Milliseconds. */
const SOON = 1000

function spent(run: () => unknown): number {
  const start = lived()
  run()
  return lived() - start
}

for (const [what, fields] of [
  ['a field of blanks that ends badly', `X: ${' '.repeat(200_000)}\0\r\n`],
  [
    'many names in Connection, and many fields',
    `Connection: ${'a,'.repeat(60_000)}\r\n${'b:\r\n'.repeat(30_000)}`,
  ],
] as const) {
  test(`a worker's head with ${what} is read or refused at once`, () => {
    const took = spent(() => {
      try {
        parseHead(`HTTP/1.1 200 OK\r\n${fields}\r\n`, 'GET')
      } catch {
        // Refused is as good as read.
      }
    })
    assert.ok(took < SOON, `${took} ms`)
  })
}

test("a worker's answer that breaks off inside a string full of quotes is searched for usage at once", () => {
  const tail = `{"usage":{"a":"${'\\"'.repeat(60_000)}`
  const took = spent(() => assert.equal(findUsage(tail), null))
  assert.ok(took < SOON, `${took} ms`)
})

test('an endless line that comes byte by byte costs as much for its last byte as for its first', () => {
  const watch = createStreamWatch({ shape: 'chat', stripUsage: false, now: () => 0, onFirstToken() {} })
  const byte = Buffer.from('x')
  for (let sent = 0; sent < 300_000; sent++) watch.chunk(byte)
  const took = spent(() => {
    for (let sent = 0; sent < 5000; sent++) watch.chunk(byte)
  })
  assert.ok(took < SOON, `${took} ms`)
})

test('a query that repeats one name thousands of times is routed at once', async (t) => {
  const { url } = await router(t, {})
  const got = await send(url, { method: 'GET', path: `/nothing?${'a=1&'.repeat(16_000)}` })
  assert.equal(got.status, 404)
  assert.ok(got.lived < SOON, `${got.lived} ms`)
})
