// What a client's WebSocket must live through when the engine is behind a tunnel: the same on every runtime.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { WebSocket } from 'ws'

/** Texts, bytes, a message larger than a frame, and the engine's close, in order. */
export async function echoes(client: WebSocket): Promise<void> {
  await once(client, 'open')
  assert.equal(client.protocol, 'realtime')
  for (const [message, isBinary] of [
    [Buffer.from('hällo'), false],
    [Buffer.from([0, 255, 10]), true],
    [Buffer.alloc(3_000_000, 'x'), false],
    [Buffer.alloc(0), true],
  ] as const) {
    client.send(message, { binary: isBinary })
    const [got, wasBinary] = (await once(client, 'message')) as [Buffer, boolean]
    assert.equal(wasBinary, isBinary)
    assert.equal(Buffer.compare(got, message), 0)
  }
  client.send('end')
  const [code, reason] = (await once(client, 'close')) as [number, Buffer]
  assert.deepEqual([code, String(reason)], [4001, 'enough'])
}
