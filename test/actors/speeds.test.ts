import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Seat } from '../../src/actors/seat.ts'
import { Speeds } from '../../src/actors/speeds.ts'
import { member } from './_pool.ts'

function fleet(nominal: number, ...ids: string[]) {
  const speeds = new Speeds(nominal)
  const seats = ids.map((id) => new Seat(member(id)))
  for (const seat of seats) speeds.reset(seat)
  const learn = (seat: Seat, tokens: number, seconds: number) => {
    if (speeds.learn(seat, tokens, seconds)) for (const one of seats) speeds.settle(one)
  }
  return { speeds, seats, learn }
}

test('nothing is believed before twenty samples', () => {
  const { seats, learn } = fleet(20_000, 'a')
  const [a] = seats as [Seat]
  for (let i = 0; i < 19; i++) learn(a, 10_000, 1)
  assert.equal(a.speed, 20_000)
  learn(a, 10_000, 1)
  assert.ok(Math.abs(a.speed - 10_000) < 1, String(a.speed))
})

test('a quarter more or less than nominal is noise', () => {
  for (const [seconds, isNoise] of [
    [0.45, true],
    [0.62, true],
    [0.38, false],
    [0.75, false],
  ] as const) {
    const { speeds, seats, learn } = fleet(20_000, 'a')
    for (let i = 0; i < 200; i++) learn(seats[0]!, 10_000, seconds)
    assert.equal(speeds.nominal === 20_000, isNoise, String(seconds))
    assert.equal(seats[0]!.speed === 20_000, isNoise, String(seconds))
  }
})

test('a worker of another speed is told from the others, and theirs is nominal', () => {
  const { seats, learn } = fleet(20_000, 'a', 'b', 'c', 'd')
  for (let i = 0; i < 100; i++) for (const seat of seats) learn(seat, 10_000, seat === seats[0] ? 2 : 0.5)
  assert.ok(Math.abs(seats[0]!.speed / 5_000 - 1) < 0.01, String(seats[0]!.speed))
  for (const seat of seats.slice(1)) assert.ok(seat.speed > 2 * seats[0]!.speed)
})

test('short waits teach nothing: they are mostly the way there and back', () => {
  const { seats, learn } = fleet(20_000, 'a')
  for (let i = 0; i < 100; i++) learn(seats[0]!, 100, 0.2)
  assert.equal(seats[0]!.prefilled.samples, 0)
})

test('a single stall moves the estimate as if it had been four times too long', () => {
  const { seats, learn } = fleet(20_000, 'a')
  for (let i = 0; i < 50; i++) learn(seats[0]!, 10_000, 0.5)
  learn(seats[0]!, 10_000, 600)
  assert.equal(seats[0]!.speed, 20_000)
})

test('an engine a hundred times slower than expected is known after a few dozen calls', () => {
  const { seats, learn } = fleet(20_000, 'a')
  for (let i = 0; i < 80; i++) learn(seats[0]!, 500, 2.5)
  assert.ok(seats[0]!.speed < 400, String(seats[0]!.speed))
})

test('a worker that begins anew is as fast as any', () => {
  const { speeds, seats, learn } = fleet(20_000, 'a', 'b')
  for (let i = 0; i < 60; i++) for (const seat of seats) learn(seat, 10_000, seat === seats[0] ? 3 : 0.5)
  speeds.reset(seats[0]!)
  assert.equal(seats[0]!.speed, speeds.nominal)
  assert.equal(seats[0]!.prefilled.samples, 0)
})
