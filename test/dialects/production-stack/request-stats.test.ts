import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { RequestStats } from '../../../src/dialects/production-stack/request-stats.ts'
import { Uptimes } from '../../../src/dialects/production-stack/uptime.ts'
import { Window } from '../../../src/dialects/production-stack/window.ts'

const T0 = 1_700_000_000_000
const A = 'http://a:8000'
const B = 'http://b:8000'
const good = { isGood: true }

describe('a sliding window', () => {
  test('counts and averages what came within its length, and forgets the rest', () => {
    const window = new Window(60_000)
    assert.equal(window.mean(T0), -1)
    window.add(T0, 2)
    window.add(T0 + 30_000, 4)
    assert.deepEqual([window.count(T0 + 30_000), window.mean(T0 + 30_000)], [2, 3])
    assert.deepEqual([window.count(T0 + 70_000), window.mean(T0 + 70_000)], [1, 4])
    assert.deepEqual([window.count(T0 + 10_000_000), window.mean(T0 + 10_000_000)], [0, -1])
  })
})

describe('the statistics of requests', () => {
  test('tell rate, first token, latency, gaps and where requests are', () => {
    const stats = new RequestStats(10_000)
    assert.equal(stats.read(A, T0), null)
    stats.sent('1', { url: A, at: T0 })
    stats.sent('2', { url: A, at: T0 })
    stats.first('1', T0 + 500)
    const during = stats.read(A, T0 + 600)
    assert.deepEqual([during?.prefill, during?.decoding, during?.finished, during?.ttft], [1, 1, 0, 0.5])
    assert.equal(during?.latency, -1)
    stats.ended('1', T0 + 2000, { isGood: true, interToken: 0.05, completionTokens: 31 })
    stats.over('1')
    assert.deepEqual(stats.read(A, T0 + 2000), {
      qps: 0.2,
      ttft: 0.5,
      latency: 2,
      itl: 0.05,
      decodingLength: 31,
      prefill: 1,
      decoding: 0,
      finished: 1,
    })
    assert.equal(stats.read(A, T0 + 20_000)?.qps, 0)
  })

  const endings: readonly [string, (stats: RequestStats) => void, finished: number][] = [
    ['ends well', (stats) => (stats.first('1', T0), stats.ended('1', T0, good), stats.over('1')), 1],
    ['is over twice', (stats) => (stats.over('1'), stats.over('1')), 0],
    ['breaks in its stream', (stats) => (stats.first('1', T0), stats.over('1')), 0],
    ['is left before its first token', (stats) => stats.over('1'), 0],
    [
      'is told of its first token twice',
      (stats) => (stats.first('1', T0), stats.first('1', T0), stats.over('1')),
      0,
    ],
    [
      'ends behind its end',
      (stats) => (stats.over('1'), stats.ended('1', T0, good), stats.first('1', T0)),
      0,
    ],
    ['ends badly', (stats) => (stats.ended('1', T0, { isGood: false }), stats.over('1')), 0],
  ]
  for (const [what, happen, finished] of endings) {
    test(`no gauge keeps a request that ${what}`, () => {
      const stats = new RequestStats(10_000)
      stats.sent('1', { url: A, at: T0 })
      happen(stats)
      const read = stats.read(A, T0)
      assert.deepEqual([read?.prefill, read?.decoding, read?.finished], [0, 0, finished])
    })
  }

  test('a request that is sent to another engine has left the first', () => {
    const stats = new RequestStats(10_000)
    stats.sent('1', { url: A, at: T0 })
    stats.sent('1', { url: B, at: T0 + 10 })
    assert.deepEqual([stats.read(A, T0)?.prefill, stats.read(B, T0)?.prefill], [0, 1])
    assert.deepEqual([stats.sentAt('1'), stats.sentAt('2')], [T0 + 10, undefined])
  })

  test('of a pair one engine computes the prompt, then the other answers', () => {
    const stats = new RequestStats(10_000)
    stats.sent('1', { url: B, prefillUrl: A, at: T0 })
    assert.deepEqual([stats.read(A, T0)?.prefill, stats.read(B, T0)?.decoding], [1, 0])
    stats.first('1', T0 + 100)
    assert.deepEqual([stats.read(A, T0)?.prefill, stats.read(B, T0)?.decoding], [0, 1])
    stats.ended('1', T0 + 200, good)
    assert.deepEqual([stats.read(A, T0)?.finished, stats.read(B, T0 + 200)?.finished], [0, 1])
  })

  test('engines that are gone are forgotten when their last request is over', () => {
    const stats = new RequestStats(10_000)
    stats.sent('1', { url: A, at: T0 })
    stats.keep(new Set([B]))
    assert.ok(stats.read(A, T0))
    stats.over('1')
    stats.keep(new Set([B]))
    assert.equal(stats.read(A, T0), null)
  })
})

test('an engine is up since the router began, since it came, or since it came back', () => {
  const uptimes = new Uptimes(T0)
  const up = (url: string) => ({ url, state: 'up' as const })
  uptimes.look([up(A)], T0 + 1000)
  uptimes.look([up(A), up(B)], T0 + 5000)
  assert.deepEqual([uptimes.of(A, T0 + 6000), uptimes.of(B, T0 + 6000)], [6, 1])
  uptimes.look([{ url: A, state: 'down' }, up(B)], T0 + 7000)
  uptimes.look([up(A), up(B)], T0 + 9000)
  assert.deepEqual([uptimes.of(A, T0 + 9500), uptimes.of('http://c', T0)], [0.5, 0])
})
