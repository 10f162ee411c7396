import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Queue, type Waiter } from '../../src/admission/queue.ts'
import { ask } from '../actors/_pool.ts'

const wait = (id: string, change: Parameters<typeof ask>[0] = {}): Waiter => ({
  ask: ask({ id, ...change }),
  since: 0,
})
const all = () => true

function fill(...waiters: Waiter[]): Queue<Waiter> {
  const queue = new Queue<Waiter>()
  for (const waiter of waiters) queue.add(waiter)
  return queue
}

/** Takes all, in the order in which they go; each is counted for its tenant. */
function drain(queue: Queue<Waiter>): string[] {
  const order: string[] = []
  for (let next = queue.next(all); next; next = queue.next(all)) {
    queue.take(next.ask.id)
    queue.served(next.ask)
    order.push(next.ask.id)
  }
  return order
}

test('equals go in the order in which they came', () => {
  assert.deepEqual(drain(fill(wait('a'), wait('b'), wait('c'))), ['a', 'b', 'c'])
})

test('a lower priority value goes first, whoever it is', () => {
  const queue = fill(
    wait('a'),
    wait('b', { priority: -1 }),
    wait('c', { priority: 3 }),
    wait('d', { priority: -1 }),
  )
  assert.deepEqual(drain(queue), ['b', 'd', 'a', 'c'])
})

test('tenants take turns by the tokens that they got, not by how many wait', () => {
  const many = Array.from({ length: 4 }, (_, i) => wait(`many-${i}`, { tenant: 'many', tokens: 100 }))
  const few = [wait('few-0', { tenant: 'few', tokens: 300 }), wait('few-1', { tenant: 'few', tokens: 300 })]
  const order = drain(fill(...many, ...few))
  assert.deepEqual(order, ['many-0', 'few-0', 'many-1', 'many-2', 'many-3', 'few-1'])
})

test('a tenant that comes late starts where the others are', () => {
  const queue = fill(...Array.from({ length: 6 }, (_, i) => wait(`old-${i}`, { tenant: 'old' })))
  for (let i = 0; i < 3; i++) {
    queue.take(`old-${i}`)
    queue.served(ask({ tenant: 'old' }))
  }
  for (let i = 0; i < 3; i++) queue.add(wait(`new-${i}`, { tenant: 'new' }))
  assert.deepEqual(drain(queue), ['old-3', 'new-0', 'old-4', 'new-1', 'old-5', 'new-2'])
})

test('who does not fit is passed over, and each need is asked for once', () => {
  const queue = fill(
    ...Array.from({ length: 5 }, (_, i) => wait(`full-${i}`, { model: 'full' })),
    ...Array.from({ length: 5 }, (_, i) => wait(`free-${i}`, { model: 'free' })),
  )
  const asked: string[] = []
  const next = queue.next((waiter) => {
    asked.push(waiter.ask.model ?? '')
    return waiter.ask.model === 'free'
  })
  assert.equal(next?.ask.id, 'free-0')
  assert.deepEqual(asked, ['full', 'free'])
  assert.equal(
    queue.next(() => false),
    undefined,
  )
  assert.equal(queue.size, 10, 'looking takes nobody out')
})

test('those whose time is up are taken out, and only those', () => {
  const queue = fill(wait('a', { queueUntil: 10 }), wait('b', { queueUntil: 11 }), wait('c'))
  assert.deepEqual(
    queue.expire(10).map((waiter) => waiter.ask.id),
    ['a'],
  )
  assert.deepEqual([queue.size, queue.get('a'), queue.get('b')?.ask.id], [2, undefined, 'b'])
})

test('taking twice is harmless', () => {
  const queue = fill(wait('a'))
  assert.equal(queue.take('a')?.ask.id, 'a')
  assert.equal(queue.take('a'), undefined)
  assert.equal(queue.size, 0)
})
