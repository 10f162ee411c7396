import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ending, Passing } from '../../src/forward/closing.ts'
import { HEADING } from '../../src/replay/recorder.ts'
import { readTrace } from '../../src/replay/read-trace.ts'
import { Recorder } from '../../src/replay/recorder.ts'
import { ask } from '../actors/_pool.ts'

const passing = (id: string): Passing => ({
  id,
  worker: 'w-1',
  url: 'http://w:1',
  prefill: null,
  model: 'm',
  endpoint: '/v1/chat/completions',
  shape: 'chat',
  status: 200,
  tokens: 100,
  startedAt: 5000,
  sentAt: 5001,
  allowance: null,
})
const ending: Ending = {
  outcome: 'ok',
  usage: { promptTokens: 2048, cachedTokens: 512, completionTokens: 7, estimated: false },
}
const path = (last: number) => Float64Array.from({ length: 32 }, (_, i) => (i < 31 ? 2 ** 51 + i : last))

const recorderTo = (lines: string[], salt = 1) =>
  new Recorder({ salt: Uint32Array.of(salt, 7, 7, 7), write: (line) => lines.push(line) })

function record(ids: readonly string[], recorder: Recorder, last = 1): void {
  for (const id of ids) {
    recorder.began(ask({ id, prefix: path(last++), promptBytes: 8192, session: 'alice@example.org' }))
    recorder.first(id, 5040)
    recorder.ended(passing(id), ending, 5300)
  }
}

test('a recording tells lengths and times, and can be replayed with its shared beginnings', async () => {
  const lines: string[] = []
  record(['a', 'b'], recorderTo(lines))
  const { prefix, session, ...rest } = JSON.parse(lines[0] as string) as Record<string, unknown>
  assert.deepEqual(rest, {
    at: 5000,
    model: 'm',
    endpoint: '/v1/chat/completions',
    prompt_bytes: 8192,
    prompt_tokens: 2048,
    cached_tokens: 512,
    output_tokens: 7,
    estimated: false,
    worker: 'w-1',
    status: 200,
    outcome: 'ok',
    ttft_ms: 40,
    total_ms: 300,
  })
  assert.equal(String(prefix).split(' ').length, 32)
  const { requests } = await readTrace([JSON.stringify(HEADING), ...lines], 'recorded')
  assert.deepEqual(
    requests.map(({ blocks }) => [...blocks]),
    [
      [0, 1, 2, 3],
      [0, 1, 2, 4],
    ],
  )
  assert.equal(requests[0]?.session, requests[1]?.session)
  assert.ok(!lines.join().includes('alice') && session !== null)
})

test('with another salt there are other hashes of the same prompt', () => {
  const first: string[] = []
  const second: string[] = []
  record(['a'], recorderTo(first))
  record(['a'], recorderTo(second, 2))
  const hashesOf = ([line = '']: string[]) => (JSON.parse(line) as { prefix: string }).prefix.split(' ')
  const both = new Set([...hashesOf(first), ...hashesOf(second)])
  assert.equal(both.size, 64)
})

test('a call is recorded once, and one that never got an answer not at all', () => {
  const lines: string[] = []
  const recorder = recorderTo(lines)
  record(['a'], recorder)
  recorder.ended(passing('a'), ending, 5400)
  recorder.ended(passing('never'), ending, 5400)
  assert.equal(lines.length, 1)
})
