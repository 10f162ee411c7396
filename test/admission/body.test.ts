import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyBudget, readBody } from '../../src/admission/body.ts'
import { createClock } from '../_clock.ts'

const rules = { maxBody: 1000, minUploadRate: 100 }
const URL = 'http://router/v1/chat/completions'

/** A request whose body comes in pieces that the test sends. */
function upload(headers: Record<string, string> = {}) {
  let controller!: ReadableStreamDefaultController<Uint8Array>
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) })
  const request = new Request(URL, { method: 'POST', body, duplex: 'half', headers } as RequestInit)
  return {
    request,
    send: (bytes: number) => controller.enqueue(new Uint8Array(bytes)),
    end: () => controller.close(),
    cut: () => controller.error(new Error('gone')),
  }
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'read',
    (error: { code?: string }) => error.code,
  )

test('a body is counted while it is held, and given back once', async () => {
  const budget = new BodyBudget(1000)
  const { request, send, end } = upload()
  const reading = readBody(request, budget, rules, createClock())
  send(300)
  send(200)
  end()
  const held = await reading
  assert.equal(held.bytes.length, 500)
  assert.equal(budget.used, 500)
  held.release()
  held.release()
  assert.equal(budget.used, 0)
})

test('a body announced too large is refused before a byte is read', async () => {
  const budget = new BodyBudget(10_000)
  const { request } = upload({ 'content-length': '1001' })
  assert.equal(await codeOf(readBody(request, budget, rules, createClock())), 'body_too_large')
  assert.equal(budget.used, 0)
})

test('a body that turns out too large is refused, and its bytes are given back', async () => {
  const budget = new BodyBudget(10_000)
  const { request, send } = upload()
  const reading = codeOf(readBody(request, budget, rules, createClock()))
  send(600)
  send(600)
  assert.equal(await reading, 'body_too_large')
  assert.equal(budget.used, 0)
})

test('over the budget: 429 when it may fit later, 413 when it never will', async () => {
  const budget = new BodyBudget(800)
  budget.reserve(500)
  assert.equal(
    await codeOf(readBody(upload({ 'content-length': '400' }).request, budget, rules, createClock())),
    'buffers_full',
  )
  assert.equal(
    await codeOf(readBody(upload({ 'content-length': '900' }).request, budget, rules, createClock())),
    'body_too_large',
  )
  assert.equal(budget.used, 500)
})

test('a body announced shorter than what a window must bring is cut when it is not whole in time', async () => {
  const clock = createClock()
  const quick = upload({ 'content-length': '900' })
  const slow = upload({ 'content-length': '900' })
  const readings = [quick, slow].map(({ request, send }) => {
    const reading = codeOf(readBody(request, new BodyBudget(1000), rules, clock))
    send(899)
    return reading
  })
  await clock.advance(9_000)
  quick.send(1)
  quick.end()
  assert.equal(await readings[0], 'read')
  await clock.advance(1_000)
  assert.equal(await readings[1], 'upload_too_slow')
})

test('a short body that is longer than announced is refused', async () => {
  const budget = new BodyBudget(10_000)
  const { request, send, end } = upload({ 'content-length': '500' })
  const reading = codeOf(readBody(request, budget, rules, createClock()))
  send(1001)
  end()
  assert.equal(await reading, 'body_too_large')
  assert.equal(budget.used, 0)
})

test('an upload below the minimum rate is cut; one above it may take as long as it likes', async () => {
  const budget = new BodyBudget(1000)
  const clock = createClock()
  const slow = upload()
  const reading = codeOf(readBody(slow.request, budget, rules, clock))
  slow.send(500)
  await clock.advance(1)
  await clock.advance(20_000)
  assert.equal(await reading, 'upload_too_slow')
  assert.equal(budget.used, 0)
})

test('a body that breaks off is a client error', async () => {
  const budget = new BodyBudget(1000)
  const { request, send, cut } = upload()
  const reading = codeOf(readBody(request, budget, rules, createClock()))
  send(10)
  cut()
  assert.equal(await reading, 'body_broken')
  assert.equal(budget.used, 0)
})
