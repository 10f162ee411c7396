import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Soon, type Waiter } from '../src/soon.ts'

/** Who waits, and what it was told. */
function waiting(): Waiter<string> & { readonly told: unknown[] } {
  const told: unknown[] = []
  return {
    told,
    came: (value) => void told.push(['came', value]),
    failed: (error) => void told.push(['failed', error]),
  }
}

test('who waits is told in the moment in which it comes', () => {
  const soon = new Soon<string>()
  const waiter = waiting()
  soon.tell(waiter)
  assert.deepEqual(waiter.told, [])
  soon.came('a')
  assert.deepEqual(waiter.told, [['came', 'a']])
})

test('who comes later is told at once', () => {
  const came = new Soon<string>()
  const failed = new Soon<string>()
  const waiter = waiting()
  came.came('a')
  failed.failed('b')
  came.tell(waiter)
  failed.tell(waiter)
  assert.deepEqual(waiter.told, [
    ['came', 'a'],
    ['failed', 'b'],
  ])
})

test('only the first word counts', () => {
  const waiter = waiting()
  const [came, failed] = [new Soon<string>(), new Soon<string>()]
  for (const soon of [came, failed]) soon.tell(waiter)
  came.came('a')
  came.came('b')
  came.failed('c')
  failed.failed('d')
  failed.failed('e')
  failed.came('f')
  assert.deepEqual(waiter.told, [
    ['came', 'a'],
    ['failed', 'd'],
  ])
})

test('a promise of it settles as it does, and it as a promise does', async () => {
  const soon = new Soon<string>()
  const promise = soon.promise()
  soon.came('a')
  assert.equal(await promise, 'a')
  assert.equal(await Soon.of(Promise.resolve('b')).promise(), 'b')
  await assert.rejects(Soon.of(Promise.reject(new Error('c'))).promise(), /c/)
})

test('what comes after a promise fails with it, and with who goes on', async () => {
  const next = (text: string) => {
    if (text === 'bad') throw new Error('no way on')
    return Soon.of(Promise.resolve(`${text}, and on`))
  }
  assert.equal(await Soon.after(Promise.resolve('here'), next).promise(), 'here, and on')
  await assert.rejects(Soon.after(Promise.resolve('bad'), next).promise(), /no way on/)
  await assert.rejects(Soon.after(Promise.reject(new Error('never here')), next).promise(), /never here/)
})
