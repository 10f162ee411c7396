import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHead } from '../../../../adapters/node/wire/head.ts'

test('a value loses the blanks and tabs around it, but no byte that only Unicode calls a space', () => {
  const { headers } = parseHead(
    'HTTP/1.1 200 OK\r\nX-A: \t voil\xc3\xa0 \t\r\nX-B:\xa0\r\nX-C: \r\n\r\n',
    'GET',
  )
  assert.deepEqual(headers, ['X-A', 'voil\xc3\xa0', 'X-B', '\xa0', 'X-C', ''])
})
