// What becomes of dialled-in workers when things go wrong, and of WebSockets: the same on every runtime.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { encodeFrame, encodeJson, MAX_FRAME } from '../../src/tunnel/frames.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { box, echoEngine, engineOn, TOKEN, type Handle } from '../tunnel/_box.ts'
import { echoes } from '../tunnel/_echo.ts'
import { startMiddle } from '../tunnel/_middle.ts'
import type { OpenDialable } from './_dialled.ts'
import { begun, chat, CHAT, engine, eventually, Rig, saidIn } from './_rig.ts'

interface Opened {
  readonly rig: Rig
  /** Where workers dial. */
  readonly at: string
}

/** Registers them for one runtime. `revokes`: its configuration can change while it runs. */
export function tunnelFaults(name: string, openOne: OpenDialable, revokes: boolean): void {
  const open = async (t: TestContext, config: ConfigInput = {}): Promise<Opened> => {
    const opened = await openOne({ tunnelTokens: [TOKEN], workers: [], ...config }, {}, {})
    t.after(() => opened.close())
    return { rig: new Rig(opened, {}, undefined), at: opened.at }
  }

  describe(`tunnel on ${name}: faults`, () => {
    it('a stream goes on behind broken connections without a lost or doubled byte', async (t) => {
      const { rig, at } = await open(t)
      const middle = await startMiddle(t, at)
      box(t, { router: middle.url, engine: await engineOn(t, scripted(counting(120))) })
      await known(rig)
      const response = await rig.request(CHAT, { body: chat({ stream: true }) })
      let text = ''
      let cuts = 0
      for await (const part of response.body as ReadableStream<Uint8Array>) {
        text += new TextDecoder().decode(part)
        if (!text.includes(`"${[20, 60][cuts]} "`)) continue
        cuts++
        middle.cut()
      }
      assert.equal(cuts, 2)
      assert.equal(saidIn(text), numbers(120))
    })

    it('a worker whose connection is lost is down, its models stay, and it is back by itself', async (t) => {
      const { rig, at } = await open(t)
      const middle = await startMiddle(t, at)
      const w1 = engine()
      box(t, { router: middle.url, engine: await engineOn(t, (request) => w1.fetch(request)) })
      await known(rig)
      middle.open(false)
      middle.cut()
      const worker = async () => (await rig.workers())[0]
      await eventually(
        async () => (await worker()).state === 'down',
        () => 'it never went down',
      )
      assert.deepEqual((await worker()).models, ['m'])
      assert.notEqual((await rig.post(CHAT, chat())).status, 404)
      middle.open(true)
      await eventually(
        async () => (await rig.post(CHAT, chat())).status === 200,
        () => 'it never came back',
      )
    })

    it('strangers are turned away: wrong tokens, no hello, garbage, frames above 1 MiB', async (t) => {
      const { at } = await open(t)
      const hello = (more: object = {}) => encodeJson('hello', 0, { token: TOKEN, name: 'box', ...more })
      assert.equal(await closedBy(at, [hello({ token: 'guess' })]), 4401)
      assert.equal(await closedBy(at, [encodeJson('open', 1, { token: TOKEN, name: 'box' })]), 4400)
      assert.equal(await closedBy(at, [new Uint8Array(5)]), 4400)
      assert.equal(await closedBy(at, [hello(), new Uint8Array(50).fill(7)]), 4400)
      assert.equal(await closedBy(at, [hello(), encodeFrame('data', 9), encodeJson('open', 3, {})]), 4400)
      assert.notEqual(await closedBy(at, [hello(), new Uint8Array(MAX_FRAME + 1).fill(18)]), 1000)
    })

    it('a worker that speaks garbage in the midst of a stream breaks it loudly, and at once', async (t) => {
      const { rig, at } = await open(t, { retries: 0 })
      const bytes = new TextEncoder().encode('data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
      const garbage: Array<(stream: number) => Uint8Array> = [
        (stream) => encodeFrame('data', stream, 999_999, bytes),
        () => new Uint8Array(MAX_FRAME + 1).fill(18),
        (stream) => encodeFrame('end', stream, 3),
      ]
      for (const make of garbage) {
        let spoil = () => {}
        const socket = await speaking(at, (stream, say) => {
          say(encodeJson('head', stream, { status: 200, headers: ['content-type', 'text/event-stream'] }))
          say(encodeFrame('data', stream, 0, bytes))
          spoil = () => say(make(stream))
        })
        t.after(() => socket.terminate())
        await known(rig)
        const stream = await begun(await rig.request(CHAT, { body: chat({ stream: true }) }))
        spoil()
        const text = await stream.rest()
        assert.match(text, /\n\ndata: \{"error":\{[^\n]*"code":"worker_died"[^\n]*\}\n\n$/)
        assert.doesNotMatch(text, /\[DONE\]/)
        await eventually(
          async () => (await rig.workers())[0].state === 'down',
          () => 'its tunnel stands',
        )
      }
    })

    it('of two machines with one name the newer one stays, and the older one is told why', async (t) => {
      const { rig, at } = await open(t)
      const [w1, w2] = [engine(), engine()]
      const first = box(t, { router: at, engine: await engineOn(t, (request) => w1.fetch(request)) })
      await known(rig)
      box(t, { router: at, engine: await engineOn(t, (request) => w2.fetch(request)) })
      assert.match((await first.ended).reason, /another worker connected by this name.*--name/)
      assert.equal((await rig.post(CHAT, chat())).status, 200)
      assert.equal(w2.seen().finished, 1)
    })

    it('bodies larger than all windows pass, and a reader that stands still holds the engine back', async (t) => {
      const { rig, at } = await open(t)
      const SIZE = 32 * 1_048_576
      let produced = 0
      let got = 0
      const handle = scripted(async (request) => {
        got = (await request.arrayBuffer()).byteLength
        const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
          if (produced >= SIZE) return controller.close()
          controller.enqueue(new Uint8Array(65_536).fill((produced / 65_536) % 251))
          produced += 65_536
        }
        return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), {
          headers: { 'content-type': 'application/octet-stream' },
        })
      })
      box(t, { router: at, engine: await engineOn(t, handle) })
      await known(rig)
      const sent = JSON.stringify(chat({ messages: [{ role: 'user', content: 'x'.repeat(6 * 1_048_576) }] }))
      const response = await rig.request(CHAT, { body: sent })
      assert.equal(got, sent.length)
      let before = -1
      await eventually(
        async () => {
          const isStill = produced === before
          before = produced
          await new Promise((resolve) => setTimeout(resolve, 150))
          return isStill && produced === before
        },
        () => 'the engine was never held back',
      )
      assert.ok(produced < SIZE / 2, `${produced} bytes made for a reader that took none`)
      let size = 0
      for await (const part of response.body as ReadableStream<Uint8Array>) size += part.byteLength
      assert.equal(size, SIZE)
    })

    it('a worker that is removed is cut off and stays away', async (t) => {
      const { rig, at } = await open(t)
      const w1 = engine()
      const { ended } = box(t, { router: at, engine: await engineOn(t, (request) => w1.fetch(request)) })
      await known(rig)
      const [{ id }] = (await rig.workers()) as [{ id: string }]
      assert.equal((await rig.admin('DELETE', `/fetchway/v1/workers/${id}`)).status, 200)
      assert.match((await ended).reason, /removed/)
      assert.deepEqual(await rig.workers(), [])
    })

    const skip = !revokes && 'its configuration changes by a deployment alone'
    it(
      'a token that is revoked in the midst of a stream ends it loudly, and the worker',
      { skip },
      async (t) => {
        const { rig, at } = await open(t, { retries: 0 })
        const { ended } = box(t, { router: at, engine: await engineOn(t, scripted(counting(2000))) })
        await known(rig)
        const response = await rig.request(CHAT, { body: chat({ stream: true }) })
        await rig.reload({ tunnelTokens: ['another'], workers: [] })
        assert.match(await response.text(), /"code":"worker_died"/)
        assert.match((await ended).reason, /revoked/)
        assert.deepEqual(await rig.workers(), [])
      },
    )

    it('WebSockets pass: texts, bytes, messages larger than a frame, the end; and give their places back', async (t) => {
      const { rig, at } = await open(t)
      const behind = await echoEngine(t)
      box(t, { router: at, engine: behind.url, engineKey: 'sk-engine' })
      await known(rig)
      const url = `${at.replace('http', 'ws')}/v1/realtime?model=m`
      await echoes(new WebSocket(url, ['realtime', 'other']))
      assert.equal(behind.seen[0]?.headers.authorization, 'Bearer sk-engine')
      const left = new WebSocket(url)
      await once(left, 'open')
      // Its own; the first one's is given back a moment behind its end.
      await eventually(
        async () => (await rig.status()).in_flight === 1,
        () => 'not one place is taken',
      )
      left.terminate()
      const dying = new WebSocket(url)
      await once(dying, 'open')
      dying.send('die')
      await once(dying, 'close')
      await eventually(
        async () => (await rig.status()).in_flight === 0 && behind.open() === 0,
        () => 'a place is left',
      )
    })

    it('an engine that takes no WebSockets is heard in its own words, and is not blamed', async (t) => {
      const { rig, at } = await open(t, { breakerFailures: 2 })
      const w1 = engine()
      const one = box(t, { router: at, engine: await engineOn(t, (request) => w1.fetch(request)) })
      await known(rig)
      const refusalOf = async () => {
        const socket = new WebSocket(`${at.replace('http', 'ws')}/v1/realtime?model=m`)
        const [error] = (await once(socket, 'error')) as [Error]
        return error.message
      }
      for (let i = 0; i < 3; i++) assert.match(await refusalOf(), /404/)
      assert.equal((await rig.workers())[0].breaker, 'closed')
      await eventually(
        async () => (await rig.status()).in_flight === 0,
        () => 'a place is left',
      )
      one.client.stop()
      await eventually(
        async () => (await rig.workers())[0].state !== 'up',
        () => 'it stays up',
      )
      assert.match(await refusalOf(), /50[23]/)
    })
  })
}

const known = (rig: Rig) =>
  eventually(
    async () => (await rig.workers()).some((one) => one.known && one.state === 'up'),
    () => 'it never became known',
  )

/** An engine whose chats are answered by that function. */
function scripted(answer: (request: Request) => Response | Promise<Response>): Handle {
  const plain = engine()
  return async (request) =>
    new URL(request.url).pathname.startsWith('/v1/chat') ? answer(request) : plain.fetch(request)
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i} `).join('')

/** A stream that counts. */
const counting = (count: number) => () => {
  async function* tokens() {
    for (let i = 0; i < count; i++) {
      yield new TextEncoder().encode(`data: {"choices":[{"delta":{"content":"${i} "}}]}\n\n`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    yield new TextEncoder().encode('data: [DONE]\n\n')
  }
  return new Response(tokens() as unknown as BodyInit, { headers: { 'content-type': 'text/event-stream' } })
}

const dial = (at: string) => new WebSocket(`${at.replace('http', 'ws')}/fetchway/v1/tunnel?name=box`)

/** The code by which a socket that says those frames is closed. */
async function closedBy(at: string, frames: readonly Uint8Array[]): Promise<number> {
  const socket = dial(at)
  socket.on('error', () => undefined)
  await once(socket, 'open')
  for (const frame of frames) socket.send(frame)
  const [code] = (await once(socket, 'close')) as [number]
  return code
}

/** A worker made by hand: serves model `m`, and answers chats by saying frames. */
async function speaking(
  at: string,
  answer: (stream: number, say: (frame: Uint8Array) => void) => void,
): Promise<WebSocket> {
  const socket = dial(at)
  await once(socket, 'open')
  const say = (frame: Uint8Array) => socket.send(frame)
  socket.on('message', (message: Buffer) => {
    if (message[0] !== 16) return
    const stream = message.readUInt32BE(1)
    const { path } = JSON.parse(message.subarray(13).toString()) as { path: string }
    if (path.startsWith('/v1/chat')) return answer(stream, say)
    const body = new TextEncoder().encode(
      path.startsWith('/v1/models') ? '{"object":"list","data":[{"id":"m"}]}' : '{}',
    )
    say(encodeJson('head', stream, { status: 200, headers: ['content-type', 'application/json'] }))
    say(encodeFrame('data', stream, 0, body))
    say(encodeFrame('end', stream, body.byteLength))
  })
  say(encodeJson('hello', 0, { token: TOKEN, name: 'box', url: 'http://e', version: '1' }))
  return socket
}
