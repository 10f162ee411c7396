import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBody } from '../../../adapters/node/body.ts'
import type { BodyTaker, Incoming } from '../../../adapters/node/client/exchange.ts'
import { serve } from '../../../adapters/node/http.ts'

/** A request whose body comes in these pieces. */
function incoming(pieces: readonly Uint8Array[], length: number | null): Incoming {
  return {
    length,
    take(taker: BodyTaker) {
      for (const piece of pieces) taker.data(piece, false)
      taker.end()
    },
    pause() {},
  } as unknown as Incoming
}

const filled = (size: number, byte: number) => new Uint8Array(size).fill(byte)
const isDetached = ({ buffer }: Uint8Array) => (buffer as ArrayBuffer).detached

for (const length of [90_000, null]) {
  test(`large pieces of a body ${length === null ? 'in chunks' : 'of known length'} are given back once copied`, async () => {
    const pieces = [filled(40_000, 1), filled(40_000, 2), filled(10_000, 3)]
    const body = await readBody(incoming(pieces, length), 0, () => undefined)
    const expected = [...filled(40_000, 1), ...filled(40_000, 2), ...filled(10_000, 3)]
    assert.deepEqual([...body], expected)
    assert.deepEqual(pieces.map(isDetached), [true, true, false])
  })
}

test('a piece that shares its memory with something else is left alone', async () => {
  const shared = filled(50_000, 7)
  const body = await readBody(
    incoming([shared.subarray(0, 40_000), filled(20_000, 8)], 60_000),
    0,
    () => undefined,
  )
  assert.equal(isDetached(shared), false)
  assert.deepEqual([body[39_999], body[40_000], shared[49_999]], [7, 8, 7])
})

test('a body in one piece is that piece', async () => {
  const piece = filled(40_000, 5)
  const body = await readBody(incoming([piece], 40_000), 0, () => undefined)
  assert.ok(body.buffer === piece.buffer && body.byteLength === 40_000)
})

for (const lanes of [true, false]) {
  test(`bodies that come side by side stay apart${lanes ? '' : " (node:http's messages)"}`, async (t) => {
    const answer = async (request: Request) => {
      const bytes = await request.bytes()
      // Others come in while this one is held.
      await new Promise((resolve) => setImmediate(resolve))
      return Response.json([bytes.length, bytes[0], bytes.every((byte) => byte === bytes[0])])
    }
    const served = await serve(answer, { lanes })
    t.after(() => served.close(0))
    const sizes = Array.from({ length: 60 }, (_, i) => 20_000 + i * 7001)
    const answers = await Promise.all(
      sizes.map(async (size, i) => {
        const response = await fetch(served.url, { method: 'POST', body: filled(size, i + 1) })
        return response.json()
      }),
    )
    assert.deepEqual(
      answers,
      sizes.map((size, i) => [size, i + 1, true]),
    )
  })
}

/** What a request's parts are told to be before and after its body was asked for without waiting. */
async function look(request: Request): Promise<Response> {
  const { atHand } = request as Request & { atHand(): Uint8Array | null }
  const bytes = atHand.call(request)
  const again = atHand.call(request)
  const whole = bytes ?? (await request.bytes())
  return Response.json([bytes !== null, again === null, request.bodyUsed, new TextDecoder().decode(whole)])
}

for (const lanes of [true, false]) {
  test(`a body is at hand once, where it came with its head${lanes ? '' : " (never of node:http's messages)"}`, async (t) => {
    const served = await serve(look, { lanes })
    t.after(() => served.close(0))
    const reply = await fetch(`http://127.0.0.1:${served.port}/`, { method: 'POST', body: 'together' })
    assert.deepEqual(await reply.json(), [lanes, true, true, 'together'])
  })
}

test('a body that comes later, or larger than allowed, is not at hand', async (t) => {
  const served = await serve(look, { maxBody: 10 })
  t.after(() => served.close(0))
  const slow = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(filled(4, 65))
      await new Promise((resolve) => setTimeout(resolve, 20))
      controller.close()
    },
  })
  const url = `http://127.0.0.1:${served.port}/`
  const reply = await fetch(url, { method: 'POST', body: slow, duplex: 'half' } as RequestInit)
  assert.deepEqual(await reply.json(), [false, true, true, 'AAAA'])
  assert.equal((await fetch(url, { method: 'POST', body: filled(11, 65) })).status, 500)
})
