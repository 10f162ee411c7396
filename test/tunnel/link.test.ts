import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame } from '../../src/tunnel/frames.ts'
import { WINDOW } from '../../src/tunnel/stream.ts'
import { End, Heard, Line, TIMES } from './_line.ts'

/** A stream that the router opened, with ears at both ends. */
function opened(line: Line) {
  const [atRouter, atWorker] = [new Heard(), new Heard()]
  line.worker.onOpen = (stream) => {
    stream.ear = atWorker
  }
  const ours = line.router.link.open({ path: '/' })
  ours.ear = atRouter
  line.run()
  const theirs = line.worker.opened.at(-1) ?? assert.fail('no stream was opened')
  return { ours, theirs, atRouter, atWorker }
}

const pattern = (size: number, seed = 0) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed) % 251)

test('a request and its answer pass, and then nothing of them is left', () => {
  const line = new Line()
  const { ours, theirs, atRouter, atWorker } = opened(line)
  ours.write(pattern(100))
  ours.end()
  line.run()
  assert.deepEqual(atWorker.bytes, pattern(100))
  assert.deepEqual(atWorker.told, ['end'])
  theirs.head({ status: 200 })
  theirs.write(pattern(50, 7))
  theirs.end()
  line.run()
  assert.deepEqual(atRouter.bytes, pattern(50, 7))
  assert.deepEqual(atRouter.told, ['head {"status":200}', 'end'])
  assert.equal(line.router.link.size + line.worker.link.size, 0)
})

test('a reader that does not take anything is sent one window and no byte more', () => {
  const line = new Line()
  const { ours, theirs, atWorker } = opened(line)
  theirs.pause()
  let written = 0
  while (ours.write(pattern(65_536))) written += 65_536
  line.run()
  assert.equal(written, WINDOW)
  assert.equal(atWorker.bytes.length, 0)
  assert.ok(line.router.link.keptBytes < WINDOW * 1.1)
})

test('a writer hears of room once the reader took something, and all arrives', () => {
  const line = new Line()
  const { ours, theirs, atRouter, atWorker } = opened(line)
  theirs.pause()
  const body = pattern(WINDOW * 3)
  assert.equal(ours.write(body), false)
  line.run()
  assert.equal(atRouter.rooms, 0)
  theirs.resume()
  ours.end()
  line.run()
  assert.equal(Buffer.compare(atWorker.bytes, body), 0)
  assert.deepEqual(atWorker.told, ['end'])
})

test('bodies wait when too much is not acknowledged over all streams, and go on in turn', () => {
  const line = new Line()
  const streams = Array.from({ length: 20 }, () => opened(line))
  for (const { ours } of streams) {
    ours.write(pattern(WINDOW))
    ours.end()
  }
  assert.ok(line.router.link.keptBytes < 9 * 1_048_576, String(line.router.link.keptBytes))
  line.run()
  for (const { atWorker } of streams) assert.equal(atWorker.bytes.length, WINDOW)
})

test('a reset ends a stream at both ends at once and drops what waits', () => {
  const line = new Line()
  const { ours, theirs, atRouter, atWorker } = opened(line)
  theirs.pause()
  ours.write(pattern(WINDOW * 2))
  line.run()
  ours.reset('aborted', 'the client left')
  line.run()
  assert.deepEqual(atWorker.told, ['aborted'])
  assert.deepEqual(atRouter.told, [])
  assert.equal(theirs.isOver && ours.isOver, true)
  theirs.write(pattern(10))
  line.run()
  assert.equal(atRouter.bytes.length, 0)
})

test('however a line breaks and comes again, no byte is lost, doubled or moved', () => {
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('step' as const),
        direction: fc.constantFrom(0 as const, 1 as const),
        times: fc.integer({ min: 1, max: 30 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        stream: fc.nat(2),
        size: fc.integer({ min: 0, max: 150_000 }),
        isBack: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), tells: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('pause' as const), stream: fc.nat(2), isOn: fc.boolean() }),
    },
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const line = new Line()
      const streams = [opened(line), opened(line), opened(line)]
      const sent = streams.map(() => ({ there: [] as Uint8Array[], back: [] as Uint8Array[] }))
      let seed = 0
      for (const one of actions) {
        if (one.do === 'cut') {
          line.cut(one.tells)
          line.connect()
        } else if (one.do === 'step') for (let i = 0; i < one.times; i++) line.step(one.direction)
        else if (one.do === 'pause') {
          const { theirs } = streams[one.stream]!
          if (one.isOn) theirs.pause()
          else theirs.resume()
        } else {
          const { ours, theirs } = streams[one.stream]!
          const bytes = pattern(one.size, seed++)
          const log = one.isBack ? sent[one.stream]!.back : sent[one.stream]!.there
          log.push(bytes)
          const writer = one.isBack ? theirs : ours
          writer.write(bytes)
        }
      }
      for (const { ours, theirs } of streams) {
        theirs.resume()
        ours.end()
        theirs.end()
      }
      line.cut()
      line.connect()
      line.run()
      for (const [i, { atRouter, atWorker }] of streams.entries()) {
        assert.equal(Buffer.compare(atWorker.bytes, Buffer.concat(sent[i]!.there)), 0)
        assert.equal(Buffer.compare(atRouter.bytes, Buffer.concat(sent[i]!.back)), 0)
        assert.deepEqual([atRouter.told, atWorker.told], [['end'], ['end']])
      }
      assert.equal(line.router.link.size + line.worker.link.size, 0)
    }),
    { numRuns: 60 },
  )
})

test('streams wait for another wire, and fail as reset when none comes in time', async () => {
  const line = new Line()
  const { atRouter, atWorker, ours } = opened(line)
  line.cut()
  assert.deepEqual(line.router.told, ['lost'])
  await line.clock.advance(TIMES.resume - 1)
  assert.deepEqual(atRouter.told, [])
  await line.clock.advance(1)
  assert.deepEqual(atRouter.told, ['reset'])
  assert.deepEqual(atWorker.told, ['reset'])
  assert.deepEqual(line.router.told, ['lost', 'closed'])
  assert.equal(ours.isOver, true)
  assert.equal(line.router.link.keptBytes, 0)
  assert.equal(line.clock.pending, 0)
})

test('a wire that falls silent is given up, one that is only idle is not', async () => {
  const line = new Line()
  for (let i = 0; i < 20; i++) {
    await line.clock.advance(TIMES.beat)
    line.run()
  }
  assert.deepEqual(line.router.told, [])
  line.cut(false)
  await line.clock.advance(TIMES.silence + TIMES.beat)
  assert.deepEqual([line.router.told, line.worker.told], [['lost'], ['lost']])
  assert.equal(line.router.closedWith, 4408)
})

test('what was acknowledged is not kept: a long answer takes no memory with it', async () => {
  const line = new Line()
  const { theirs } = opened(line)
  for (let i = 0; i < 5000; i++) {
    theirs.write(pattern(200))
    line.run()
  }
  assert.ok(line.worker.link.keptBytes < 30_000, String(line.worker.link.keptBytes))
})

test('frames of a wire that was replaced are not heard', () => {
  const line = new Line()
  const { theirs, atRouter } = opened(line)
  const old = line.router.wire!
  line.connect()
  line.router.link.receive(old, encodeFrame('data', theirs.id, 0, pattern(3)))
  assert.equal(atRouter.bytes.length, 0)
})

test('a side that breaks the rules is cut off for good', () => {
  const broken: [string, Uint8Array][] = [
    ['bytes at the wrong offset', encodeFrame('data', 1, 5, pattern(3))],
    ['an end at the wrong offset', encodeFrame('end', 1, 5)],
    ['an acknowledgement of what was never sent', encodeFrame('ack', 0, 1_000_000)],
    ['a second welcome', encodeFrame('welcome')],
    ['a stream that was opened before', encodeFrame('open', 1, 0, new TextEncoder().encode('{}'))],
    ['no frame', new Uint8Array(3)],
  ]
  for (const [what, frame] of broken) {
    const line = new Line()
    const { atRouter } = opened(line)
    line.router.link.receive(line.router.wire!, frame)
    assert.deepEqual(atRouter.told, ['reset'], what)
    assert.equal(line.router.closedWith, 4400, what)
  }
})

test('more bytes than were granted are refused', () => {
  const line = new Line()
  const { ours, atRouter } = opened(line)
  ours.pause()
  for (let at = 0; at <= WINDOW; at += 65_536)
    line.router.link.receive(line.router.wire!, encodeFrame('data', 1, at, pattern(65_536)))
  assert.deepEqual(atRouter.told, ['reset'])
  assert.equal(line.router.closedWith, 4400)
})

test('a link goes on only behind frames that it still has', () => {
  const line = new Line()
  const { ours } = opened(line)
  for (let i = 0; i < 200; i++) ours.write(pattern(10))
  line.run()
  const { link } = line.router
  assert.equal(link.canResume(0), false)
  assert.equal(link.canResume(201), true)
  assert.equal(link.canResume(202), false)
  assert.equal(link.canResume(0.5), false)
  assert.equal(new End(line.clock).link.canResume(0), true)
})
