import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Seat } from '../../src/actors/seat.ts'
import { LoadPoller, reportOf, type LoadRules } from '../../src/discovery/loads.ts'
import { UpstreamFailure, type HeaderList, type LogEvent, type WorkerRef } from '../../src/host.ts'
import { createClock } from '../_clock.ts'
import { member } from '../actors/_pool.ts'
import { recordedBody } from '../engines/_ask.ts'

const RULES: LoadRules = { interval: 2000, timeout: 1000, isUsed: true, isAlways: false, orca: true }
const NO_HEADERS: HeaderList = []

interface Question {
  readonly worker: string
  readonly at: number
}

const metrics = (running: number, waiting = 0) =>
  `vllm:num_requests_running{engine="0"} ${running}.0\nvllm:num_requests_waiting{engine="0"} ${waiting}.0\n`

/** A poller with seats, driven by an alarm as a pool drives it. `answer`: the text of /metrics, or null for none. */
function rig(count: number, rules: LoadRules = RULES) {
  const clock = createClock()
  const seats = new Map<string, Seat>()
  for (let i = 0; i < count; i++) seats.set(`w${i}`, new Seat(member(`w${i}`)))
  const asked: Question[] = []
  const logged: LogEvent[] = []
  const state = { answer: (_worker: string): string | null => metrics(0), now: 0, most: 0 }
  const poller = new LoadPoller({
    seats,
    rules: () => rules,
    isOwn: () => true,
    told: (one, load) => one.report(load),
    now: clock.now,
    random: () => 0,
    timer: clock.timer,
    log: (event) => logged.push(event),
    fetch: async (worker: WorkerRef) => {
      asked.push({ worker: worker.id, at: clock.now() })
      state.most = Math.max(state.most, ++state.now)
      await new Promise<void>((resolve) => clock.timer(20, resolve))
      state.now--
      const text = state.answer(worker.id)
      if (text === null) throw new UpstreamFailure('connect', 'refused')
      const bytes = new TextEncoder().encode(text)
      const upstream = {
        status: 200,
        headers: NO_HEADERS,
        first: async () => bytes,
        bytes: async () => bytes,
      }
      return { ...upstream, cancel() {} }
    },
  })
  let alarms = 0
  const arm = () => {
    const at = poller.dueAt()
    if (at < Infinity) clock.timer(Math.max(0, at - clock.now()), ring)
  }
  const ring = () => {
    alarms++
    const taken = poller.take()
    arm()
    void poller.ask(taken)
  }
  arm()
  const seat = (id: string) => seats.get(id) as Seat
  return { clock, poller, seats, seat, asked, logged, state, arm, alarms: () => alarms }
}

/** The most questions within one window of `ms`. */
function burst(asked: readonly Question[], ms: number): number {
  let most = 0
  for (const { at } of asked)
    most = Math.max(most, asked.filter((one) => one.at >= at && one.at < at + ms).length)
  return most
}

test('busy workers are asked once an interval, spread evenly over it, a few at once', async () => {
  const { clock, asked, state, alarms } = rig(64)
  state.answer = () => metrics(3)
  await clock.advance(60_000)
  const perWorkerSecond = asked.length / 64 / 60
  assert.ok(perWorkerSecond > 0.45 && perWorkerSecond <= 0.52, `${perWorkerSecond}`)
  assert.ok(burst(asked, 200) <= 9, `${burst(asked, 200)}`)
  assert.ok(state.most <= 9, `${state.most}`)
  assert.ok(alarms() <= 60 * 5, `${alarms()} alarms`)
})

test('idle workers are asked a fifth as often', async () => {
  const { clock, asked } = rig(64)
  await clock.advance(60_000)
  const perWorker = asked.length / 64
  assert.ok(perWorker >= 6 && perWorker <= 7.5, `${perWorker}`)
})

test('no worker is asked again before half an interval has passed', async () => {
  const { clock, asked, state } = rig(8)
  state.answer = () => metrics(3)
  await clock.advance(10_000)
  const last = new Map<string, number>()
  for (const { worker, at } of asked) {
    assert.ok(at - (last.get(worker) ?? 0) >= RULES.interval / 2, `${worker} at ${at}`)
    last.set(worker, at)
  }
  assert.equal(last.size, 8)
})

test('every worker is asked in the first interval', async () => {
  const { clock, asked } = rig(64)
  await clock.advance(2000)
  assert.equal(new Set(asked.map(({ worker }) => worker)).size, 64)
})

test('an idle worker that gets a call is asked at the next chance', async () => {
  const { clock, asked, seat } = rig(8)
  await clock.advance(12_000)
  asked.length = 0
  seat('w3').inFlight = 1
  await clock.advance(8_000)
  assert.ok(asked.filter(({ worker }) => worker === 'w3').length >= 3)
})

test('nobody is asked for loads that nobody uses', async () => {
  for (const rules of [
    { ...RULES, isUsed: false },
    { ...RULES, interval: 0 },
  ]) {
    const { clock, asked } = rig(4, rules)
    await clock.advance(30_000)
    assert.equal(asked.length, 0)
  }
})

test('loads are asked for without a use when somebody wants to see them', async () => {
  const { clock, asked } = rig(4, { ...RULES, isUsed: false, isAlways: true })
  await clock.advance(200_000)
  assert.ok(asked.some(({ at }) => at > clock.now() - 11_000))
})

test('without calls the questions cease, and the first call starts them again', async () => {
  const { clock, poller, asked, arm } = rig(4)
  await clock.advance(100_000)
  assert.ok((asked.at(-1)?.at ?? 0) <= clock.now() - 39_000)
  asked.length = 0
  assert.equal(poller.used(clock.now()), true)
  assert.equal(poller.used(clock.now()), false)
  arm()
  await clock.advance(300)
  assert.equal(asked.length, 4)
})

test('a worker that tells its load by itself is not asked, until it falls silent', async () => {
  const { clock, asked, seat, poller } = rig(1)
  for (let second = 0; second < 30; second++) {
    seat('w0').pushedAt = clock.now()
    await clock.advance(1000)
  }
  assert.ok(asked.length <= 1)
  poller.used(clock.now())
  await clock.advance(5000)
  assert.ok(asked.length >= 1 && (asked.at(-1)?.at ?? 0) >= clock.now() - 2000)
})

test('workers that are down, draining, or of an engine nobody knows are not asked', async () => {
  const { clock, seats, asked } = rig(3)
  seats.set('x', new Seat(member('x', { ref: { id: 'x', url: 'http://x', engine: 'unknown' } })))
  seats.set('d', new Seat(member('d', { draining: true })))
  ;(seats.get('w0') as Seat).isDown = true
  await clock.advance(20_000)
  assert.deepEqual([...new Set(asked.map(({ worker }) => worker))].sort(), ['w1', 'w2'])
})

test('in place of a Rust router engines that nobody knows are asked at /get_load, and their silence is no news', async () => {
  const { clock, seats, seat, logged, state, arm } = rig(0, { ...RULES, asksUnknown: true })
  for (const id of ['x', 'y'])
    seats.set(id, new Seat(member(id, { ref: { id, url: `http://${id}`, engine: 'unknown' } })))
  state.answer = (worker) =>
    worker === 'x' ? '[{"num_reqs": 4, "num_waiting_reqs": 1, "num_tokens": 70}]' : null
  arm()
  await clock.advance(20_000)
  const { running, waiting, usedTokens } = seat('x').reported ?? {}
  assert.deepEqual([running, waiting, usedTokens], [3, 1, 70])
  assert.deepEqual([seat('y').reported, seat('y').loadsMissed > 2, logged], [null, true, []])
})

test('a worker that does not answer is asked ever more rarely, which is logged once, and so is its return', async () => {
  const { clock, asked, logged, seat, state, poller } = rig(1)
  state.answer = () => null
  for (let second = 0; second < 300; second++) {
    poller.used(clock.now())
    await clock.advance(1000)
  }
  // Two questions each: /metrics, and nothing more where not even that was answered.
  assert.ok(asked.length <= 10, `${asked.length}`)
  assert.deepEqual([seat('w0').reported, seat('w0').loadsMissed, logged.length], [null, asked.length, 1])
  assert.match(logged[0]?.message ?? '', /does not tell its load/)
  state.answer = () => metrics(1)
  poller.used(clock.now())
  await clock.advance(60_000)
  assert.equal(seat('w0').reported?.running, 1)
  assert.match(logged[1]?.message ?? '', /again/)
})

test('an answer that nobody thought of is a failure like another', async () => {
  const { clock, seat, state } = rig(1)
  state.answer = () => 'vllm:num_requests_running{ nonsense'
  await clock.advance(1000)
  assert.deepEqual([seat('w0').reported, seat('w0').loadFailures], [null, 1])
})

test('what a real vLLM tells is in the pool’s words', async () => {
  const { clock, seat, state } = rig(1)
  state.answer = () => recordedBody('metrics')
  await clock.advance(100)
  const { at, ...told } = seat('w0').reported ?? assert.fail()
  assert.deepEqual(told, {
    running: 0,
    waiting: 0,
    waitingUncachedTokens: -1,
    usedTokens: 0,
    capacityTokens: 1_048_576,
    usage: 0,
    prefixCache: { queries: 4358, hits: 2048, rate: 2048 / 4358 },
  })
  assert.equal(at, 1_000_020)
})

test('used tokens follow from the usage where the capacity is known, and the other way round', () => {
  const seat = new Seat(member('w', { kvCapacityTokens: 1000 }))
  const unknown = new Seat(member('w'))
  assert.equal(reportOf(seat, { kvUsage: 0.25 }, 1).usedTokens, 250)
  assert.equal(reportOf(seat, { kvTokens: 100 }, 1).usage, 0.1)
  const bare = reportOf(unknown, { kvUsage: 0.25 }, 1)
  assert.deepEqual([bare.usedTokens, bare.capacityTokens, bare.usage, bare.running], [-1, -1, 0.25, -1])
})
