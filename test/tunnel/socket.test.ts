// WebSockets inside a tunnel: both ends over a simulated line, with sockets that only remember.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UpstreamFailure, type Outgoing } from '../../src/host.ts'
import { answerStream } from '../../src/tunnel/answer.ts'
import { encodeMessage, MessageReader, TEXT } from '../../src/tunnel/messages.ts'
import {
  openSocket,
  type TunnelSocket,
  type FarSocket,
  type Message,
  type NearSocket,
} from '../../src/tunnel/socket.ts'
import { settle } from '../_clock.ts'
import { Line } from './_line.ts'

/** A socket that remembers what it was told. */
class Socket implements FarSocket {
  readonly protocol: string
  readonly got: Message[] = []
  readonly told: string[] = []
  near: NearSocket | null = null

  constructor(protocol = '') {
    this.protocol = protocol
  }
  join(near: NearSocket): void {
    this.near = near
  }
  send(message: Message): void {
    this.got.push(typeof message === 'string' ? message : new Uint8Array(message))
  }
  close(code?: number, reason?: string): void {
    this.told.push(`close ${code ?? ''} ${reason ?? ''}`.trim())
  }
  pause(): void {
    this.told.push('pause')
  }
  resume(): void {
    this.told.push('resume')
  }
}

const OUTGOING: Outgoing = {
  method: 'GET',
  path: '/v1/realtime?model=m',
  headers: ['x-a', 'b'],
  body: null,
  connectTimeout: 1000,
  signal: new AbortController().signal,
}

/** A line whose worker joins streams with what `open` gives. */
function start(open: () => Promise<FarSocket>, ask = async (): Promise<never> => failing()) {
  const line = new Line()
  line.worker.onOpen = (stream, head) => answerStream(stream, head, { ask, socket: open })
  const closed: string[] = []
  const opening = openSocket(
    (head) => line.router.link.open(head),
    OUTGOING,
    ['a', 'b'],
    () => closed.push('closed'),
  )
  opening.catch(() => undefined)
  const move = async () => {
    for (let i = 0; i < 4; i++) {
      line.run()
      await settle()
    }
  }
  return { line, opening, closed, move }
}

function failing(): never {
  throw new UpstreamFailure('connect', 'nobody there')
}

async function joined() {
  const engine = new Socket('b')
  const started = start(async () => engine)
  await started.move()
  const far = (await started.opening) as TunnelSocket
  const client = new Socket()
  return { ...started, engine, far, client }
}

test('messages pass both ways as they are, whatever their sizes, across a broken connection', async () => {
  const message = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.uint8Array({ maxLength: 60 }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>,
    fc.integer({ min: 60_000, max: 200_000 }).map((size) => new Uint8Array(size).fill(size % 251)),
  )
  const property = async (down: Message[], up: Message[], cutAt: number) => {
    const { line, far, client, engine, move } = await joined()
    assert.equal(far.protocol, 'b')
    far.join(client)
    for (const one of down) engine.near?.send(one)
    for (const one of up) far.send(one)
    for (let i = 0; i < cutAt; i++) line.step(0)
    line.cut()
    line.connect()
    await move()
    assert.deepEqual(client.got, down)
    assert.deepEqual(engine.got, up)
  }
  const messages = fc.array(message, { maxLength: 6 })
  await fc.assert(fc.asyncProperty(messages, messages, fc.nat(5), property), { numRuns: 25 })
})

test('a body cut anywhere gives the same messages', () => {
  const texts = ['', 'a', 'hällo'.repeat(50)]
  const bytes = Buffer.concat(texts.map((text) => encodeMessage(TEXT, new TextEncoder().encode(text))))
  for (const step of [1, 2, 3, 7, 64, bytes.length]) {
    const reader = new MessageReader()
    const got: string[] = []
    for (let at = 0; at < bytes.length; at += step)
      for (const { payload } of reader.read(bytes.subarray(at, at + step)))
        got.push(Buffer.from(payload).toString())
    assert.deepEqual(got, texts, `in steps of ${step}`)
  }
  for (const broken of [
    [3, 0, 0, 0, 0],
    [1, 255, 255, 255, 255],
  ])
    assert.throws(() => new MessageReader().read(new Uint8Array(broken)), /a message of kind/)
})

test('what the engine says before the client is joined waits', async () => {
  const { engine, far, client, move } = await joined()
  engine.near?.send('early')
  await move()
  far.join(client)
  await move()
  assert.deepEqual(client.got, ['early'])
})

test('either side ends both, with its code, and the place is given back once', async () => {
  for (const side of ['engine', 'client'] as const) {
    const { engine, far, client, closed, move } = await joined()
    far.join(client)
    if (side === 'engine') engine.near?.close(4001, 'enough')
    else far.close(4001, 'enough')
    far.send('too late')
    await move()
    assert.deepEqual((side === 'engine' ? client : engine).told, ['close 4001 enough'])
    assert.deepEqual(engine.got, [])
    far.close()
    assert.deepEqual(closed, ['closed'])
  }
})

test('a worker that is gone closes its client by 1011', async () => {
  const { line, far, client, closed } = await joined()
  far.join(client)
  line.cut()
  await line.clock.advance(5001)
  assert.deepEqual(client.told, ['close 1011 the other side is gone'])
  assert.deepEqual(closed, ['closed'])
})

test('a sender is held back while the other side takes nothing, and cut off when it goes on', async () => {
  const { line, far, client, engine, move } = await joined()
  far.join(client)
  for (let i = 0; i < 3; i++) far.send(new Uint8Array(500_000))
  assert.deepEqual(client.told, ['pause'])
  await move()
  assert.deepEqual(client.told, ['pause', 'resume'])
  assert.equal(engine.got.length, 3)
  for (let i = 0; i < 40; i++) far.send(new Uint8Array(500_000))
  assert.equal(client.told.at(-1), 'close 1013 the other side takes no more')
  await move()
  assert.equal(engine.told.at(-1), 'close 1011 the other side is gone')
  assert.equal(line.router.link.size + line.worker.link.size, 0)
})

test('an engine that takes none is heard in its words; one that is not there is a failure to connect', async () => {
  const say = new TextEncoder().encode('{"detail":"Not Found"}')
  const answer = {
    status: 404,
    headers: ['content-type', 'application/json'],
    pipe(sink: { data(bytes: Uint8Array): void; end(): void }) {
      sink.data(say)
      sink.end()
    },
    pause: () => undefined,
    resume: () => undefined,
    cancel: () => undefined,
  }
  const refused = start(
    async () => failing(),
    async () => answer as never,
  )
  await refused.move()
  assert.deepEqual(await refused.opening, { status: 404, headers: answer.headers, body: say })
  const gone = start(async () => failing())
  await gone.move()
  await assert.rejects(gone.opening, { kind: 'connect' })
  assert.deepEqual([...refused.closed, ...gone.closed], [])
})
