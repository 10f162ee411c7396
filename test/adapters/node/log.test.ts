import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listeningLine } from '../../../adapters/node/log.ts'

const [URL, ADMIN] = ['http://127.0.0.1:8000', 'http://127.0.0.1:8001']

test('a router tells people where it listens', () => {
  assert.equal(listeningLine({ logFormat: 'pretty' }, URL, null), `Listening on ${URL}`)
  assert.equal(
    listeningLine({ logFormat: 'pretty' }, URL, ADMIN),
    `Listening on ${URL}, control plane on ${ADMIN}`,
  )
})

test('a router tells machines where it listens in the words that scripts look for', () => {
  const { time, ...rest } = JSON.parse(listeningLine({ logFormat: 'json' }, URL, ADMIN)) as { time: string }
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000)
  const message = `Listening on ${URL}, control plane on ${ADMIN}`
  assert.deepEqual(rest, { level: 'info', message, url: URL, adminUrl: ADMIN })
})
