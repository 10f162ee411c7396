import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createSockets, type NodeSockets } from '../../adapters/node/sockets.ts'
import { createTimers, type Timers } from '../../adapters/web/timers.ts'
import { Publisher, Router } from '../../src/zmtp/binding.ts'
import { ask } from '../../src/zmtp/dealer.ts'
import { encodeCommand, encodeMessage, FrameReader, readCommand } from '../../src/zmtp/frames.ts'
import { GREETING_BYTES, greeting, readyData } from '../../src/zmtp/handshake.ts'
import { Session } from '../../src/zmtp/session.ts'
import { Subscriber, type Hearer } from '../../src/zmtp/subscriber.ts'
import type { Clock, Wire } from '../../src/zmtp/wire.ts'
import { until } from '../actors/_kv.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (parts: readonly Uint8Array[]) => parts.map((part) => new TextDecoder().decode(part))
const LOCAL = { host: '127.0.0.1', port: 0 }

describe('ZMTP sockets', () => {
  let sockets: NodeSockets
  let timers: Timers
  let clock: Clock
  before(() => {
    sockets = createSockets()
    timers = createTimers()
    clock = { now: () => performance.now(), random: () => 0, timer: timers.start }
  })
  after(() => {
    sockets.close()
    timers.close()
  })

  function listener() {
    const got: string[][] = []
    const told: string[] = []
    const hearer: Hearer = {
      message: (parts) => void got.push(text(parts)),
      up: () => void told.push('up'),
      down: () => void told.push('down'),
    }
    return { got, told, hearer }
  }

  it('follow a publisher by topic, and come back to it after it was gone', async () => {
    const publisher = await Publisher.bind({ sockets, clock, address: LOCAL })
    const { got, told, hearer } = listener()
    const address = { ...LOCAL, port: publisher.port }
    const subscriber = new Subscriber({ sockets, clock, address, topics: ['kv@'], hearer })
    void subscriber.start()
    await until(() => publisher.hasHearers('kv@1'), 'a subscription')
    publisher.publish([bytes('kv@1'), bytes('a')])
    publisher.publish([bytes('load'), bytes('b')])
    publisher.publish([bytes('kv@2'), new Uint8Array(70_000).fill(65)])
    await until(() => got.length === 2, 'two messages')
    assert.deepEqual(got[0], ['kv@1', 'a'])
    assert.equal(got[1]![1]!.length, 70_000)
    publisher.hangUp()
    await until(() => told.length === 3, 'back again')
    assert.deepEqual(told, ['up', 'down', 'up'])
    await until(() => publisher.hasHearers('kv@1'), 'a subscription again')
    publisher.publish([bytes('kv@1'), bytes('c')])
    await until(() => got.length === 3, 'a message after that')
    subscriber.close()
    await until(() => publisher.peers === 0, 'gone')
    publisher.close()
  })

  it('wait for publishers that connect', async () => {
    const { got, hearer } = listener()
    const taken = await sockets.listen!(LOCAL, () => {})
    taken.close()
    const address = { ...LOCAL, port: taken.port }
    const subscriber = new Subscriber({ sockets, clock, address, isBound: true, hearer })
    await subscriber.start()
    const wire = await sockets.connect(address, new AbortController().signal)
    const session = await Session.open(wire, { type: 'PUB', clock })
    const first = await session.receive()
    assert.equal(first?.kind, 'subscribe')
    await session.send([bytes('kv@w1'), bytes('x')])
    await until(() => got.length === 1, 'a message')
    session.close()
    subscriber.close()
  })

  it('ask a router, and get its answers without the envelope', async () => {
    const router: Router = await Router.bind({
      sockets,
      clock,
      address: LOCAL,
      onMessage(from, parts) {
        assert.deepEqual(text(parts), ['', 'question'])
        for (const answer of ['one', 'two']) router.send(from, [bytes(''), bytes(answer)])
      },
    })
    const { signal } = new AbortController()
    const answers: string[][] = []
    const options = { sockets, clock, address: { ...LOCAL, port: router.port }, patience: 2000, signal }
    for await (const parts of ask({ ...options, question: [bytes('question')] })) {
      answers.push(text(parts))
      if (answers.length === 2) break
    }
    assert.deepEqual(answers, [['one'], ['two']])
    router.close()
  })

  it('know the peers of a router by identity, and when they leave', async () => {
    const seen: string[] = []
    const router = await Router.bind({
      sockets,
      clock,
      address: LOCAL,
      onMessage: (from, parts) => void seen.push(`${from} ${text(parts).join()}`),
      onLeave: (peer) => void seen.push(`${peer} left`),
    })
    const address = { ...LOCAL, port: router.port }
    const wire = await sockets.connect(address, new AbortController().signal)
    const session = await Session.open(wire, { type: 'DEALER', clock, identity: bytes('p1') })
    await session.send([bytes('hello')])
    await until(() => seen.length === 1, 'a greeting')
    assert.equal(seen[0], '7031 hello')
    assert.equal(router.send('7031', [bytes('welcome')]), true)
    assert.equal(router.send('none', [bytes('?')]), false)
    const answer = await session.receive()
    assert.deepEqual(answer?.kind === 'message' && text(answer.parts), ['welcome'])
    session.close()
    await until(() => seen.length === 2, 'it left')
    assert.equal(seen[1], '7031 left')
    router.close()
  })

  it('answer pings, and speak to peers of ZMTP 3.0 without commands', async () => {
    const [ours, theirs] = pipe()
    const opening = Session.open(ours, { type: 'SUB', clock })
    const old = greeting()
    old[11] = 0
    await theirs.write(old)
    await theirs.write(encodeCommand('READY', readyData('PUB', new Uint8Array(0))))
    const session = await opening
    await session.subscribe(bytes('a'))
    await theirs.write(encodeCommand('PING', Uint8Array.of(0, 9, 1, 2)))
    await theirs.write(encodeMessage([bytes('a'), bytes('1')]))
    const incoming = await session.receive()
    assert.deepEqual(incoming?.kind === 'message' && text(incoming.parts), ['a', '1'])
    const reader = new FrameReader(1000)
    for (let chunk = await theirs.read(); chunk; chunk = theirs.has() ? await theirs.read() : null)
      reader.push(chunk)
    reader.take(GREETING_BYTES)
    const [ready, subscription, pong] = [reader.next(), reader.next(), reader.next()]
    assert.equal(readCommand(ready!.body).name, 'READY')
    assert.deepEqual([subscription!.isCommand, [...subscription!.body]], [false, [1, 97]])
    assert.deepEqual([...readCommand(pong!.body).data], [1, 2])
    session.close()
  })

  it('refuse what is no ZMTP, and messages without end', async () => {
    const [ours, theirs] = pipe()
    const opening = Session.open(ours, { type: 'SUB', clock })
    await theirs.write(bytes('HTTP/1.1 400 Bad Request\r\n\r\n'.padEnd(64)))
    await assert.rejects(opening, /does not speak ZMTP/)
    const [sub, pub] = pipe()
    const open = Session.open(sub, { type: 'SUB', clock, limit: 1000 })
    await pub.write(greeting())
    await pub.write(encodeCommand('READY', readyData('PUB', new Uint8Array(0))))
    const session = await open
    await pub.write(encodeMessage([new Uint8Array(600), new Uint8Array(600)]))
    await assert.rejects(session.receive(), /a message of 1200 bytes/)
    session.close()
  })
})

interface Near extends Wire {
  has(): boolean
}

/** Two wires, each of which reads what the other writes. */
function pipe(): [Near, Near] {
  const lines: [Uint8Array[], Uint8Array[]] = [[], []]
  const wakes = [() => {}, () => {}]
  let isClosed = false
  const wire = (own: 0 | 1): Near => ({
    has: () => lines[own].length > 0,
    async read() {
      while (lines[own].length === 0) {
        if (isClosed) return null
        await new Promise<void>((resolve) => (wakes[own] = resolve))
      }
      return lines[own].shift() as Uint8Array
    },
    async write(chunk) {
      lines[1 - own]!.push(chunk)
      wakes[1 - own]!()
    },
    close() {
      isClosed = true
      for (const wake of wakes) wake()
    },
  })
  return [wire(0), wire(1)]
}
