import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { Line, type Target } from '../../../../adapters/node/threads/line.ts'

/** A line to some methods, and what it hears of besides. */
function lineTo(t: TestContext, target: Target) {
  const { port1, port2 } = new MessageChannel()
  t.after(() => port1.close())
  const errors: unknown[] = []
  const parcels: unknown[] = []
  port2.on('message', (parcel) => parcels.push(parcel))
  const onError = (error: unknown) => errors.push(error)
  void new Line(port2, { target: (kind) => (kind === 'thing' ? target : undefined), onError })
  const line = new Line(port1, { target: () => undefined, onError })
  const call = (method: string, ...args: unknown[]) => line.call('thing', 'main', method, args)
  return { line, call, errors, parcels }
}

test('calls and casts arrive in their order, in one message a turn', async (t) => {
  const heard: number[] = []
  const { line, call, parcels } = lineTo(t, { hear: (value: number) => heard.push(value) })
  line.cast('thing', 'main', 'hear', [1])
  const second = call('hear', 2)
  line.cast('thing', 'main', 'hear', [3])
  assert.equal(await second, 2)
  assert.deepEqual(heard, [1, 2, 3])
  assert.equal(parcels.length, 1)
})

test('an answer that takes its time holds up no other', async (t) => {
  let answer: (value: string) => void = () => {}
  const { call } = lineTo(t, {
    slow: () => new Promise<string>((resolve) => (answer = resolve)),
    quick: () => 'quick',
  })
  const slow = call('slow')
  assert.equal(await call('quick'), 'quick')
  answer('slow')
  assert.equal(await slow, 'slow')
})

test('an error comes back with its code, thrown or rejected', async (t) => {
  const broken = Object.assign(new Error('it broke'), { code: 'EBROKEN' })
  const { call } = lineTo(t, {
    throws() {
      throw broken
    },
    rejects: () => Promise.reject(broken),
  })
  await assert.rejects(call('throws'), { message: 'it broke', code: 'EBROKEN' })
  await assert.rejects(call('rejects'), { message: 'it broke', code: 'EBROKEN' })
  await assert.rejects(call('nothing'), /there is no thing.nothing/)
})

test('a cast that fails is told at the other end', async (t) => {
  const { line, call, errors } = lineTo(t, {
    rejects: () => Promise.reject(new Error('it broke')),
    ping: () => 1,
  })
  line.cast('thing', 'main', 'rejects', [])
  await call('ping')
  assert.match(String(errors[0]), /it broke/)
})

test('when the line ends nobody waits on', async (t) => {
  const { line, call } = lineTo(t, { never: () => new Promise(() => {}) })
  const waiting = call('never')
  line.end(new Error('it is gone'))
  await assert.rejects(waiting, /it is gone/)
  await assert.rejects(call('never'), /it is gone/)
})
