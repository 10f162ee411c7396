import assert from 'node:assert/strict'
import { test } from 'node:test'
import { targetOf } from '../../src/openai/target.ts'

const read = (url: string) => {
  const { path, pathname, shape, endpoint } = targetOf(url)
  return [path, pathname, shape, endpoint?.name]
}

const chat = '/v1/chat/completions'
const targets: [string, (string | undefined)[]][] = [
  [`http://a${chat}`, [chat, chat, 'chat', chat]],
  [`http://a${chat}?x=/1`, [`${chat}?x=/1`, chat, 'chat', chat]],
  [`http://a${chat}/`, [`${chat}/`, `${chat}/`, 'chat', undefined]],
  ['https://a:1/%2e/x', ['/%2e/x', '/%2e/x', 'other', undefined]],
  ['http://a', ['/', '/', 'other', undefined]],
]
test('a URL is read again when another one came in between', () => {
  for (const [url, expected] of [...targets, ...targets]) assert.deepEqual(read(url), expected)
  assert.equal(targetOf(`http://a${chat}`), targetOf(`http://a${chat}`))
})
