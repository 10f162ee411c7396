// Answers of workers as Responses on Deno and Bun.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeUpstream } from '../../../adapters/node/upstream.ts'
import { relay } from '../../../adapters/web/socket-relay.ts'

const carrier = { heard: true, pause() {}, resume() {}, destroy() {} }
const watch = { chunk: (bytes: Uint8Array) => bytes, end: () => null, fail: () => null, leave() {} }

test('a status that no Response can have is a 502', () => {
  for (const [came, told] of [
    [599, 599],
    [600, 502],
    [999, 502],
  ] as const) {
    const upstream = new NodeUpstream(carrier, new AbortController().signal)
    assert.equal(relay(upstream, { status: came, headers: [] }, watch).status, told)
  }
})
