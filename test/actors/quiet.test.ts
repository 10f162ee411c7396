import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Quiet } from '../../src/actors/quiet.ts'

test('calls are taken in the order in which they came, none before it is due', () => {
  const quiet = new Quiet()
  quiet.add(7, 10)
  quiet.add(8, 30)
  quiet.add(9, 20)
  assert.deepEqual([quiet.take(9), quiet.take(10), quiet.take(29)], [null, 7, null])
  assert.deepEqual([quiet.take(30), quiet.take(30), quiet.take(Infinity)], [8, 9, null])
})

test('a line that was empty is not held up by who was there before', () => {
  const quiet = new Quiet()
  quiet.add(1, 100)
  assert.equal(quiet.take(100), 1)
  quiet.add(2, 50)
  assert.equal(quiet.take(50), 2)
})

test('a long line keeps its order, wherever it begins', () => {
  const quiet = new Quiet()
  const expected: number[] = []
  const taken: (number | null)[] = []
  for (let i = 0; i < 500; i++) {
    quiet.add(i, i)
    expected.push(i)
    if (i % 3 === 0) taken.push(quiet.take(i))
  }
  for (let call = quiet.take(500); call !== null; call = quiet.take(500)) taken.push(call)
  assert.deepEqual(taken, expected)
})

const step = fc.record({ kind: fc.constantFrom('join', 'leave', 'pass'), by: fc.nat({ max: 20 }) })

test('who left is not taken, and those behind it are due when they were', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const quiet = new Quiet()
      // All that joined, as a list that is looked through from its beginning.
      let line: { call: number; number: number; due: number; isHere: boolean }[] = []
      let now = 0
      for (const [call, { kind, by }] of steps.entries()) {
        if (kind === 'join') {
          const due = Math.max(line.at(-1)?.due ?? 0, now + by)
          line.push({ call, number: quiet.add(call, now + by), due, isHere: true })
        } else if (kind === 'leave') {
          const one = line[by % Math.max(1, line.length)]
          if (one) quiet.leave(one.number)
          if (one) one.isHere = false
        } else now += by
        const due = line.filter((one) => one.due <= now)
        line = line.filter((one) => one.due > now)
        for (const one of due) if (one.isHere) assert.equal(quiet.take(now), one.call)
        assert.equal(quiet.take(now), null)
      }
    }),
  )
})
