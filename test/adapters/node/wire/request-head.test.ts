import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeadRoom } from '../../../../adapters/node/wire/request-head.ts'
import { UpstreamFailure } from '../../../../src/host.ts'

const target = { authority: 'gpu1:8000', basePath: '/base' }
const plain = { method: 'GET', path: '/v1/models?a=b', headers: [] as string[], body: null }

function written(outgoing: Partial<Parameters<HeadRoom['write']>[1]>, room = new HeadRoom(4096)): string {
  const size = room.write(target, { ...plain, ...outgoing })
  return room.bytes.toString('latin1', 0, size)
}

test('a head has its line, its host, its framing and its headers, in that order', () => {
  const body = [new Uint8Array(3), new Uint8Array(9)]
  assert.equal(
    written({ method: 'POST', path: '/v1/embeddings', headers: ['accept', '*/*', 'x-a', 'voil\xe0'], body }),
    'POST /base/v1/embeddings HTTP/1.1\r\nhost: gpu1:8000\r\ncontent-length: 12\r\naccept: */*\r\nx-a: voil\xe0\r\n\r\n',
  )
})

const start = 'HTTP/1.1\r\nhost: gpu1:8000\r\n'
for (const { name, outgoing, wanted } of [
  { name: 'a GET without a body says nothing of one', outgoing: {}, wanted: `${start}\r\n` },
  {
    name: 'a POST without a body says so',
    outgoing: { method: 'POST' },
    wanted: `${start}content-length: 0\r\n\r\n`,
  },
  {
    name: 'a stream comes in chunks',
    outgoing: { method: 'PUT', body: new ReadableStream<Uint8Array>() },
    wanted: `${start}transfer-encoding: chunked\r\n\r\n`,
  },
])
  test(name, () => assert.equal(written(outgoing).split('?a=b ')[1], wanted))

test('a head says nothing of the one that lay there before', () => {
  const room = new HeadRoom(4096)
  const heads = [
    { headers: ['x-a', '1'] },
    { headers: ['x-b', '22'] },
    { path: '/v1/other' },
    { method: 'POST', path: '/v1/other', body: [new Uint8Array(3)] },
    { method: 'POST', path: '/v1/other', body: [new Uint8Array(10)] },
    { headers: ['x-long', 'y'.repeat(5000)] },
    {},
  ]
  for (const outgoing of heads) assert.equal(written(outgoing, room), written(outgoing))
  assert.throws(() => written({ path: '/a b' }, room), UpstreamFailure)
  assert.equal(written({}, room), written({}))
  // It was longer than the line that lay there, up to where it is broken.
  assert.throws(() => written({ path: `/${'a'.repeat(99)} b` }, room), UpstreamFailure)
  assert.equal(written({}, room), written({}))
})

test('a head that needs more room than there is gets it', () => {
  const headers = ['x-long', 'y'.repeat(10_000)]
  const text = written({ headers }, new HeadRoom(64))
  assert.equal(text, written({ headers }, new HeadRoom(20_000)))
  assert.equal(text.endsWith('yy\r\n\r\n'), true)
})

for (const [name, outgoing] of Object.entries({
  'an empty method': { method: '' },
  'a method with a blank': { method: 'GET /' },
  'a path with a blank': { path: '/a b' },
  'a path that ends its line': { path: '/a\r\nx: y' },
  'a path that is no latin1': { path: '/\u0141' },
  'an empty name': { headers: ['', 'a'] },
  'a name with a colon': { headers: ['a:b', 'c'] },
  'a value that ends its line': { headers: ['a', 'b\r\nc: d'] },
  'a value that is no latin1': { headers: ['a', '\u0d0a'] },
}))
  test(`${name} is never written`, () =>
    assert.throws(
      () => written(outgoing),
      (error) => error instanceof UpstreamFailure && error.kind === 'protocol',
    ))
