// Workers that dial in to a router of several threads: the link is in one of them, its sockets and its calls are in any.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { WebSocket } from 'ws'
import type { ConfigInput } from '../../../../src/config/schema.ts'
import { createEngine } from '../../../../src/simulator/engine.ts'
import { chat, CHAT, eventually, saidIn } from '../../../journeys/_rig.ts'
import { box, echoEngine, engineOn, TOKEN, type Handle } from '../../../tunnel/_box.ts'
import { echoes } from '../../../tunnel/_echo.ts'
import { threads, type Rig } from './_front.ts'

const simulated = () => createEngine({ engine: 'vllm', speed: 0, seed: 1, models: ['m'] })

async function start(t: TestContext, engine: string, input: ConfigInput = {}): Promise<Rig> {
  const rig = await threads(t, { tunnelTokens: [TOKEN], retryDelay: '1ms', ...input })
  box(t, { router: rig.url, engine })
  await known(rig)
  return rig
}

const known = (rig: Rig) =>
  eventually(
    async () => (await rig.host.registry('main').list()).some((one) => one.known),
    () => 'never known',
  )

/** Each by a connection of its own, so that every thread gets some. */
const post = (rig: Rig, body: unknown, headers: Record<string, string> = {}) =>
  fetch(rig.url + CHAT, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body: JSON.stringify(body),
  })

test('every thread reaches a worker that dialled in to one of them', async (t) => {
  const engine = simulated()
  const rig = await start(t, await engineOn(t, (request) => engine.fetch(request)))
  const answers = await Promise.all(Array.from({ length: 24 }, () => post(rig, chat({ stream: true }))))
  for (const answer of answers) assert.match(await answer.text(), /data: \[DONE\]\n\n$/)
  await eventually(
    async () => (await rig.view()).leases === 0,
    () => 'leases are left',
  )
})

test('bodies larger than all windows pass both ways, and a reader that stands still holds the engine back', async (t) => {
  const SIZE = 12 * 1_048_576
  let got = 0
  let produced = 0
  const handle: Handle = async (request) => {
    if (request.method === 'GET') return simulated().fetch(request)
    got = (await request.arrayBuffer()).byteLength
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (produced >= SIZE) return controller.close()
          controller.enqueue(new Uint8Array(65_536).fill((produced / 65_536) % 251))
          produced += 65_536
        },
      },
      { highWaterMark: 0 },
    )
    return new Response(body, { headers: { 'content-type': 'application/octet-stream' } })
  }
  const rig = await start(t, await engineOn(t, handle))
  const sent = chat({ messages: [{ role: 'user', content: 'x'.repeat(SIZE) }] })
  const response = await post(rig, sent)
  assert.equal(got, JSON.stringify(sent).length)
  let before = -1
  await eventually(
    async () => {
      const isStill = produced === before
      before = produced
      await new Promise((resolve) => setTimeout(resolve, 50))
      return isStill && produced === before
    },
    () => 'the engine was never held back',
  )
  assert.ok(produced < SIZE, `${produced} bytes made for a reader that took none`)
  const bytes = new Uint8Array(await response.arrayBuffer())
  assert.equal(bytes.byteLength, SIZE)
  for (let i = 0; i < SIZE; i += 65_536) assert.equal(bytes[i], (i / 65_536) % 251)
})

test('a thread that dies with the socket of a worker costs the streams of other threads nothing', async (t) => {
  const TOKENS = 200
  const words = Array.from({ length: TOKENS }, (_, i) => `${i} `)
  const handle: Handle = async (request) => {
    if (request.method === 'GET') return simulated().fetch(request)
    async function* tokens() {
      for (const word of words) {
        yield new TextEncoder().encode(`data: {"choices":[{"delta":{"content":"${word}"}}]}\n\n`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      yield new TextEncoder().encode('data: [DONE]\n\n')
    }
    return new Response(tokens() as unknown as BodyInit, { headers: { 'content-type': 'text/event-stream' } })
  }
  const rig = await start(t, await engineOn(t, handle), { retries: 0 })
  const streams = await Promise.all(Array.from({ length: 24 }, () => post(rig, chat({ stream: true }))))
  const texts = streams.map((stream) => stream.text().catch(() => 'broken'))
  await rig.crew.kill(0)
  // Node 22's fetch ends a broken stream as if it were whole.
  const whole = (await Promise.all(texts)).filter((text) => text.endsWith('data: [DONE]\n\n'))
  assert.ok(whole.length > 0 && whole.length < streams.length, `${whole.length} were in the other thread`)
  for (const text of whole) assert.equal(saidIn(text), words.join(''))
  await eventually(
    async () => (await rig.view()).leases === 0,
    () => 'leases are left',
  )
})

test('WebSockets pass through a tunnel in any thread, and give their places back', async (t) => {
  const engine = await echoEngine(t)
  const rig = await start(t, engine.url)
  const url = `${rig.url.replace('http', 'ws')}/v1/realtime?model=m`
  for (let i = 0; i < 4; i++) await echoes(new WebSocket(url, ['realtime']))
  await eventually(
    async () => (await rig.view()).leases === 0 && engine.open() === 0,
    () => 'a place is left',
  )
})

test('a worker that is removed is cut off, whichever thread is told', async (t) => {
  const engine = simulated()
  const rig = await threads(t, { tunnelTokens: [TOKEN] })
  const { ended } = box(t, { router: rig.url, engine: await engineOn(t, (request) => engine.fetch(request)) })
  await known(rig)
  const [worker] = await rig.host.registry('main').list()
  const response = await fetch(`${rig.url}/fetchway/v1/workers/${worker?.id}`, { method: 'DELETE' })
  assert.equal(response.status, 200)
  assert.match((await ended).reason, /removed/)
})
