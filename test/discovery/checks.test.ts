import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROBE_KINDS, type ProbeKind } from '../../src/config/kinds.ts'
import { check } from '../../src/discovery/checks.ts'
import { probe, type ProbeRules } from '../../src/discovery/probe.ts'
import type { Member } from '../../src/actors/members.ts'
import { Seat } from '../../src/actors/seat.ts'
import type { Outgoing, Upstream } from '../../src/host.ts'
import { createClock } from '../_clock.ts'

const REF = { id: 'w', url: 'http://w', engine: 'vllm' }

/** A worker that answers each request with a status and a text. */
function bench(answer: (body: string, path: string) => readonly [number, string] | null) {
  const clock = createClock()
  const sent: { path: string; body: string; type: string | undefined }[] = []
  const fetch = (_worker: unknown, { path, body, headers, signal }: Outgoing): Promise<Upstream> => {
    const text = Buffer.concat((body ?? []) as Uint8Array[]).toString('latin1')
    sent.push({ path, body: text, type: headers[headers.indexOf('content-type') + 1] })
    const [status, reply] = answer(text, path) ?? []
    if (status === undefined)
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late'))))
    const bytes = () => Promise.resolve(new TextEncoder().encode(reply))
    return Promise.resolve({ status, headers: [], bytes, first: bytes, cancel() {} })
  }
  return { clock, sent, host: { ...clock, fetch } }
}

/** What each kind sends: its path, and a part of its body. */
const SENT: Readonly<Record<ProbeKind, readonly [path: string, part: string]>> = {
  chat: [
    '/v1/chat/completions',
    '"messages":[{"role":"user","content":"Hello"}],"temperature":0,"max_tokens":3',
  ],
  completion: ['/v1/completions', '"prompt":"Hello","max_tokens":3'],
  embeddings: ['/v1/embeddings', '"input":"Hello"'],
  rerank: ['/v1/rerank', '"query":"Hello","documents":["Test"]'],
  score: ['/v1/score', '"encoding_format":"float","text_1":"Hello","text_2":"Test"'],
  transcription: ['/v1/audio/transcriptions', 'filename="probe.wav"'],
  vision: ['/v1/chat/completions', 'data:image/png;base64,'],
  messages: ['/v1/messages', '"max_tokens":3'],
}

for (const kind of PROBE_KINDS)
  test(`${kind} is checked with a call of its own`, async () => {
    const { host, sent } = bench(() => [200, '{}'])
    assert.equal(await check(host, REF, { kind, model: 'the-model' }, 1000), 'good')
    const [path, part] = SENT[kind]
    assert.equal(sent[0]?.path, path)
    assert.ok(sent[0].body.includes(part) && sent[0].body.includes('the-model'), sent[0].body)
    assert.match(
      sent[0].type ?? '',
      kind === 'transcription' ? /^multipart\/form-data/ : /^application\/json$/,
    )
  })

test('the silence of a transcription is a WAV file of a tenth of a second', async () => {
  const { host, sent } = bench(() => [200, '{}'])
  await check(host, REF, { kind: 'transcription', model: 'm' }, 1000)
  const body = sent[0]?.body ?? ''
  const wav = Buffer.from(body.slice(body.indexOf('RIFF'), body.lastIndexOf('\r\n--')), 'latin1')
  assert.equal(wav.readUInt32LE(4), wav.length - 8)
  assert.equal(wav.readUInt32LE(40), 3200)
  assert.equal(wav.length, 44 + 3200)
})

for (const [status, text, expected] of [
  [200, '{}', 'good'],
  [204, '', 'bad'],
  [200, '<html>', 'bad'],
  [404, '{}', 'bad'],
  [500, '{}', 'bad'],
] as const)
  test(`a ${status} with ${JSON.stringify(text)} is ${expected}`, async () => {
    const { host } = bench(() => [status, text])
    assert.equal(await check(host, REF, { kind: 'chat', model: 'm' }, 1000), expected)
  })

test('no answer in time is late', async () => {
  const { host, clock } = bench(() => null)
  const checked = check(host, REF, { kind: 'chat', model: 'm' }, 1000)
  await clock.advance(1000)
  assert.equal(await checked, 'late')
})

const RULES: ProbeRules = {
  path: '/health',
  interval: 1000,
  timeout: 500,
  failures: 1,
  successes: 1,
  breaker: null,
}

function seated(...models: string[]): Seat {
  const probes = models.map((model) => ({ model, kind: 'chat' as const }))
  const rest = { weight: 1, models, draining: false, maxInFlight: null, kvCapacityTokens: null }
  return new Seat({ ref: REF, role: 'mixed', ...rest, probes } satisfies Member)
}

test('a worker that is probed with calls is down when all of its models fail, and back with the first good one', async () => {
  let bad = /"m"|"n"/
  const { host, sent } = bench((body) => (bad.test(body) ? [500, '{}'] : [200, '{}']))
  const seat = seated('m', 'n')
  assert.deepEqual(await probe(host, [seat], RULES), ['down'])
  bad = /"n"/
  assert.deepEqual(await probe(host, [seat], RULES), ['up'])
  assert.deepEqual([...seat.failing], ['n'])
  bad = /nothing/
  await probe(host, [seat], RULES)
  assert.deepEqual([...seat.failing], [])
  assert.ok(sent.every(({ path }) => path === '/v1/chat/completions'))
})
