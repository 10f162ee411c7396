// Bun's server, in Bun.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { binary, fileOf } from '../../journeys/_foreign.ts'

const run = promisify(execFile)

test('a client that names no host is served, as HTTP/1.0 allows, and one that names what is none, as on Node', async () => {
  const { stdout } = await run(binary('bun'), [fileOf('test/adapters/bun/_platform-program.ts')])
  const none = 'localhost'
  const hosts = [none, none, none, 'a', none, none, none, none, 'a', 'b', 'a.b', none]
  assert.deepEqual(
    JSON.parse(stdout),
    hosts.map((host) => `POST http://${host}/a?b body`),
  )
})
