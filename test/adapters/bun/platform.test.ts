// Bun's server, in Bun.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { binary, fileOf } from '../../journeys/_foreign.ts'

const run = promisify(execFile)
const { stdout } = await run(binary('bun'), [fileOf('test/adapters/bun/_platform-program.ts')])
/** Whole answers, in the order of the program's requests. */
const told = JSON.parse(stdout) as { one: string[]; several: string[]; second: string }
const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4)

test('a client that names no host is served, as HTTP/1.0 allows, and one that names what is none, as on Node', () => {
  const none = 'localhost'
  const hosts = [none, none, none, 'a', none, none, none, none, 'a', 'b', 'a.b', none]
  assert.deepEqual(
    told.one.map(bodyOf),
    hosts.map((host) => `POST http://${host}/a?b body`),
  )
})

test('a request that names two hosts is refused, and its connection closed, as on Node', () => {
  for (const answer of told.several) {
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.match(answer, /\r\nconnection: close\r\n/i)
    assert.equal(JSON.parse(bodyOf(answer)).error.code, 'bad_request')
  }
})

test('a port that another router has is taken, and not shared', () => {
  assert.equal(told.second, 'EADDRINUSE')
})
