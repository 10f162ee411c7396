// Replays requests that were recorded with a real vLLM against the simulator and compares the replies' shapes.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createEngine } from '../../src/simulator/engine.ts'

interface Recording {
  readonly name: string
  readonly request: { method: string; path: string; headers: Record<string, string>; body: string | null }
  readonly status: number
  readonly headers: Record<string, string>
  readonly body?: string
  readonly chunks?: string[]
}

const FOLDER = new URL('../recordings/vllm/', import.meta.url)
const ENGINE = {
  engine: 'vllm',
  models: ['tiny'],
  maxModelLength: 2048,
  adapters: ['style'],
  speed: 0,
} as const

/** Why a recording is not replayed. */
const APART: Readonly<Record<string, string>> = {
  'kv-events': 'frames of another protocol',
  openapi: 'a list of paths, checked below',
  metrics: 'a page of samples, checked below',
  'server-info': 'the whole configuration, of which the simulator has little',
  'server-info-json': 'the whole configuration, of which the simulator has little',
  'inference-v1-generate': 'switched off in the recorded engine',
  'model-by-name': 'no such route, as for all unknown ones',
  'load-lora-missing': 'the recorded engine ran without adapters',
  'lora-load-missing': 'the simulator has no files to look for',
  'token-id-out-of-range': 'the ids of the simulator reach further',
  'pooling-metrics': 'a page of samples',
  'stream-abort': 'an aborted stream, checked in engine.test.ts',
  'chat-tool-required': 'a nonsense model that never closed its call',
}

/** Endpoints that the recorded engine lacked, and hand-overs whose blocks count another tokenizer's tokens. */
const OTHERS = /-on-\w+$|^transfer-.*decode/

const recordings = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Recording)
const byName = (name: string) => recordings.find((recording) => recording.name === name)

/** Real ids to ours: later recordings name responses that earlier ones made. */
async function replay(names: readonly string[]): Promise<Response> {
  const engine = createEngine({ ...ENGINE, role: names[0]?.startsWith('transfer-') ? 'prefill' : 'mixed' })
  const ids = new Map<string, string>()
  let response = new Response()
  for (const name of names) {
    const recording = byName(name) as Recording
    const { method, path, headers, body } = recording.request
    const ours = (text: string) => text.replace(/resp_[0-9a-f]{8,}/g, (id) => ids.get(id) ?? id)
    const init = { method, headers, body: body === null || method === 'GET' ? null : ours(body) }
    response = await engine.fetch(new Request(`http://engine${ours(path)}`, init))
    if (name === names.at(-1) || !recording.body?.startsWith('{')) continue
    ids.set(JSON.parse(recording.body).id, (await response.clone().json()).id)
  }
  return response
}

const BEFORE: Readonly<Record<string, readonly string[]>> = {
  'response-get': ['response'],
  'response-previous': ['response'],
  'response-cancel': ['response-background'],
  'lora-load-again': ['lora-load'],
  'lora-unload': ['lora-load'],
}

for (const recording of recordings) {
  const { name } = recording
  if (name in APART || OTHERS.test(name) || recording.request === undefined) continue
  void test(`vLLM answers "${name}" in this shape`, async () => {
    const response = await replay([...(BEFORE[name] ?? []), name])
    const text = await response.text()
    assert.equal(response.status, recording.status, text)
    assert.equal(response.headers.get('server'), recording.headers['server'])
    const type = response.headers.get('content-type')
    if (recording.body !== '') assert.equal(type, recording.headers['content-type'] ?? null)
    if (recording.chunks) assert.deepEqual(outline(text), outline(recording.chunks.join('')))
    else if (recording.body?.startsWith('{')) compareBodies(text, recording.body)
    else assert.equal(text, recording.body)
  })
}

function compareBodies(ours: string, theirs: string): void {
  const [mine, real] = [JSON.parse(ours), JSON.parse(theirs)]
  // Stands for the KV itself, which nobody sees in the real reply.
  if (mine.kv_transfer_params) delete mine.kv_transfer_params.remote_prompt_digest
  assert.deepEqual(difference(mine, real, ''), [])
  if (!real.error) return
  const { message: _, ...fault } = real.error
  const { message: __, ...own } = mine.error
  assert.deepEqual(own, fault)
}

/** Paths at which the keys differ. Null and an empty list fit everything: they tell no shape. */
function difference(mine: unknown, real: unknown, path: string): string[] {
  if (mine === null || real === null) return []
  if (Array.isArray(mine) && Array.isArray(real)) {
    return mine.length > 0 && real.length > 0 ? difference(mine[0], real[0], `${path}[]`) : []
  }
  if (typeof mine !== typeof real || Array.isArray(mine) !== Array.isArray(real))
    return [`${path}: ${typeof mine}`]
  if (typeof mine !== 'object') return []
  // Objects that map tokens to numbers have no keys of their own.
  if (path.includes('top_logprobs') && !('token' in mine)) return []
  const [have, want] = [Object.keys(mine), Object.keys(real as object)]
  if (have.join() !== want.join()) return [`${path}: ${have.join()} but ${want.join()}`]
  const fields = mine as Record<string, unknown>
  return have.flatMap((key) =>
    difference(fields[key], (real as Record<string, unknown>)[key], `${path}.${key}`),
  )
}

/** The events of a stream by name and keys, choice by choice, runs of the same told once. */
function outline(stream: string): string[] {
  const events = stream.split('\n\n').filter((event) => event.trim() !== '')
  const choiceOf = (event: string) => /"choices":\[\{"index":(\d)/.exec(event)?.[1] ?? '~'
  const shapes = [...new Set(events.map(choiceOf))]
    .toSorted()
    .flatMap((choice) =>
      events.filter((event) => choiceOf(event) === choice).map((event) => `${choice} ${shapeOfEvent(event)}`),
    )
  return shapes.filter((shape, index) => shape !== shapes[index - 1])
}

function shapeOfEvent(event: string): string {
  const name = /^event: (.*)$/m.exec(event)?.[1] ?? ''
  const data = /^data: (.*)$/m.exec(event)?.[1] ?? ''
  return data === '[DONE]' ? data : `${name} ${shapeOf(JSON.parse(data))}`
}

function shapeOf(value: unknown, key = ''): string {
  if (Array.isArray(value)) return value.length > 0 && key === 'choices' ? `[${shapeOf(value[0])}]` : '[]'
  if (typeof value !== 'object' || value === null)
    return key === 'finish_reason' && value !== null ? 'ended' : '_'
  // The last token may be one without text.
  const isEnd = 'finish_reason' in value && value.finish_reason !== null
  const fields = Object.entries(value).map(([name, part]) =>
    isEnd && name === 'delta' ? 'delta' : `${name}:${shapeOf(part, name)}`,
  )
  return `{${fields.join()}}`
}

void test('every vLLM metric has a name and labels that the real page has', async () => {
  const real = samples(byName('metrics')?.body ?? '')
  const engine = createEngine(ENGINE)
  const page = await (await engine.fetch(new Request('http://engine/metrics'))).text()
  const names = [...samples(page)].filter(([name]) => !name.endsWith('_bucket'))
  assert.ok(names.length > 20)
  for (const [name, labels] of names) {
    const known = real.get(name)
    assert.ok(known, `${name} is no metric of vLLM`)
    for (const label of labels) assert.ok(known.includes(label), `${name} has no label ${label}`)
  }
})

function samples(page: string): Map<string, string[]> {
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.split('{')[0] ?? '', [...line.matchAll(/(\w+)="/g)].map((m) => m[1] ?? '')]),
  )
}
