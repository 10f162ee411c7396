import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeadReader, parseHead } from '../../../../adapters/node/wire/head.ts'
import { UpstreamFailure } from '../../../../src/host.ts'

test('a value loses the blanks and tabs around it, but no byte that only Unicode calls a space', () => {
  const { headers } = parseHead(
    'HTTP/1.1 200 OK\r\nX-A: \t voil\xc3\xa0 \t\r\nX-B:\xa0\r\nX-C: \r\n\r\n',
    'GET',
  )
  assert.deepEqual(headers, ['X-A', 'voil\xc3\xa0', 'X-B', '\xa0', 'X-C', ''])
})

test('a head that comes again is not read again, unless it answers another method', () => {
  const heads = new HeadReader()
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'
  const read = (bytes: string, method: string) => heads.read(Buffer.from(bytes, 'latin1'), method)
  const first = read(`${text}abc`, 'POST')
  assert.equal(first?.size, text.length)
  assert.equal(read(`${text}def`, 'POST'), first)
  assert.deepEqual(read(text, 'HEAD')?.framing, { kind: 'none' })
  assert.deepEqual(read(text.replace('3', '4'), 'POST')?.framing, { kind: 'length', length: 4 })
  assert.throws(() => read('HTTP/1.1 200 OK\r\nbroken\r\n\r\n', 'POST'), UpstreamFailure)
})

test('a head that is not whole is none yet, however much it looks like the last one', () => {
  const heads = new HeadReader()
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'
  assert.equal(heads.read(Buffer.from(text), 'GET')?.status, 200)
  for (let size = 0; size < text.length; size++)
    assert.equal(heads.read(Buffer.from(text.slice(0, size)), 'GET'), null)
})
