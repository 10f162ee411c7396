// The bodies of both legs, form by form, as engines would read them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PairPlan } from '../../src/actors/ask.ts'
import { bootstrapEdits, roomOf, sequencesOf } from '../../src/execute/forms/bootstrap.ts'
import { oneToken } from '../../src/execute/forms/caps.ts'
import type { Form, Occasion } from '../../src/execute/forms/form.ts'
import { distserve, dummyMigration } from '../../src/execute/forms/migration.ts'
import { mooncake, moriio, nixl, orchestrated, p2p, plain } from '../../src/execute/forms/transfer.ts'
import { Links } from '../../src/execute/links.ts'
import { configSchema } from '../../src/config/schema.ts'
import { withoutPdKeys } from '../../src/openai/pd-keys.ts'
import { scanTop } from '../../src/openai/scan.ts'
import type { Shape } from '../../src/openai/shapes.ts'
import { editBody, type Edit } from '../../src/openai/spans.ts'
import { join } from '../../src/openai/bytes.ts'

type Body = Record<string, unknown>

const bytesOf = (body: string | object) =>
  new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body))

const textWith = (body: string | object, edits: readonly Edit[]): string => {
  const bytes = bytesOf(body)
  return new TextDecoder().decode(join(editBody(bytes, scanTop(bytes), edits)))
}

const edited = (body: string | object, edits: readonly Edit[]): Body =>
  JSON.parse(textWith(body, edits)) as Body

const prefill = { id: 'p', url: 'http://gpu1:8000', engine: 'vllm' }
const plan: PairPlan = {
  kind: 'pair',
  worker: { id: 'd', url: 'http://gpu2:9000', engine: 'vllm' },
  prefill,
  protocol: 'nixl',
  decision: 'x',
  attempt: 1,
  waited: 0,
  delay: 0,
}

function occasion(
  body: object,
  {
    shape = 'chat',
    config = {},
    prefillPort,
  }: {
    shape?: Shape
    config?: object
    prefillPort?: number
  } = {},
): Occasion {
  const bytes = bytesOf(body)
  const reply = { status: 200, headers: [], bytes: async () => bytesOf({ 0: { engine_id: 'e0' } }) }
  return {
    core: {
      config: configSchema.parse(config),
      links: new Links(),
      host: { random: () => 0.5, timer: () => () => {}, fetch: async () => reply },
    },
    admitted: {
      call: { shape, ids: ['x-request-id', 'r'], body: { kind: 'json', bytes, top: scanTop(bytes) } },
    },
    plan: prefillPort === undefined ? plan : { ...plan, prefill: { ...prefill, bootstrapPort: prefillPort } },
  } as unknown as Occasion
}

const CHAT = {
  model: 'm',
  messages: [],
  max_tokens: 20,
  stream: true,
  stream_options: { include_usage: true },
}

test('a room is an integer of 63 bits, written as it is', () => {
  assert.equal(
    roomOf(() => 0),
    '0',
  )
  assert.equal(
    roomOf(() => 1 - 2 ** -53),
    '9223372036854775807',
  )
  const text = textWith(
    { a: 1 },
    bootstrapEdits(prefill, { shape: 'chat', top: scanTop(bytesOf({})) }, () => 1 - 2 ** -53),
  )
  assert.equal(
    text,
    '{"a":1,"bootstrap_host":"gpu1","bootstrap_port":8998,"bootstrap_room":9223372036854775807}',
  )
})

for (const [shape, body, count] of [
  ['chat', { n: 1 }, null],
  ['chat', { n: 3 }, 3],
  ['completions', { prompt: 'a' }, null],
  ['completions', { prompt: ['a'] }, 1],
  ['completions', { prompt: ['a', 'b'], n: 2 }, 4],
  ['completions', { prompt: [1, 2, 3] }, null],
  ['completions', { prompt: [[1], [2, 3]] }, 2],
  ['completions', { prompt: 'a', n: 2 }, 2],
  ['generate', { text: 'a' }, null],
  ['generate', { text: ['a', 'b'] }, 2],
  ['generate', { input_ids: [1, 2] }, null],
  ['generate', { input_ids: [[1], [2], [3]] }, 3],
  ['generate', { text: 'a', sampling_params: { n: 2 } }, 2],
  ['messages', { n: 5 }, null],
] as const)
  test(`SGLang: ${shape} ${JSON.stringify(body)} has ${count ?? 'one room and no list'}`, () => {
    const top = scanTop(bytesOf(body))
    assert.equal(sequencesOf(shape, top), count)
    let draw = 0
    const out = edited(
      body,
      bootstrapEdits(prefill, { shape, top }, () => (draw += 0.01)),
    )
    const rooms = out['bootstrap_room']
    if (count === null) assert.equal(typeof rooms, 'number')
    else {
      assert.equal(new Set(rooms as number[]).size, count, 'a room each')
      assert.deepEqual(out['bootstrap_host'], Array(count).fill('gpu1'))
    }
  })

for (const [port, told] of [
  [undefined, 8998],
  [9001, 9001],
  [null, null],
] as const)
  test(`SGLang: the bootstrap port ${port} is told as ${told}, IPv6 in brackets`, () => {
    const worker = {
      id: 'p',
      url: 'http://[::1]:8000',
      engine: 'sglang',
      ...(port !== undefined && { bootstrapPort: port }),
    }
    const out = edited({}, bootstrapEdits(worker, { shape: 'chat', top: scanTop(bytesOf({})) }, Math.random))
    assert.deepEqual([out['bootstrap_host'], out['bootstrap_port']], ['[::1]', told])
  })

test('a prefill leg makes one token and does not stream', () => {
  assert.deepEqual(edited(CHAT, oneToken('chat', scanTop(bytesOf(CHAT)))), {
    model: 'm',
    messages: [],
    max_tokens: 1,
    stream: false,
    min_tokens: 1,
  })
  const newer = { max_completion_tokens: 9, min_tokens: 5 }
  const out = edited(newer, oneToken('chat', scanTop(bytesOf(newer))))
  assert.deepEqual([out['max_completion_tokens'], out['min_tokens'], out['max_tokens']], [1, 1, 1])
  const response = { input: 'x', max_output_tokens: 9 }
  const stored = edited(response, oneToken('responses', scanTop(bytesOf(response))))
  assert.deepEqual(stored, { input: 'x', max_output_tokens: 1, stream: false, store: false })
})

test('what a client sends of hand-overs is taken out, escaped and twice as well', () => {
  const body =
    '{"kv_transfer_params":{},"a":1,"bootstrap\\u005froom":5,"bootstrap_room":6,"migration_request":null}'
  assert.equal(textWith(body, withoutPdKeys(scanTop(bytesOf(body)))), '{"a":1}')
  assert.deepEqual(withoutPdKeys(scanTop(bytesOf({ model: 'm' }))), [])
})

const legs = (form: Form, answer: object, body: object = CHAT): [Body, Body] => [
  edited(body, form.prefill),
  edited(body, form.decode(bytesOf(answer))),
]

test('NIXL: all that prefill told goes on as it was written', () => {
  const told =
    '{"do_remote_prefill":true,"remote_block_ids":[[1,2]],"big":12345678901234567890,"new":{"x":null}}'
  const form = nixl(occasion(CHAT))
  assert.deepEqual(edited(CHAT, form.prefill)['kv_transfer_params'], {
    do_remote_decode: true,
    do_remote_prefill: false,
    remote_engine_id: null,
    remote_block_ids: null,
    remote_host: null,
    remote_port: null,
  })
  const text = textWith(CHAT, form.decode(bytesOf(`{"id":"x","kv_transfer_params":${told}}`)))
  assert.equal(text, `${JSON.stringify(CHAT).slice(0, -1)},"kv_transfer_params":${told}}`)
  assert.deepEqual(form.decode(bytesOf({ kv_transfer_params: null })), [], 'decode computes all by itself')
})

test('orchestrated: the host is that of the prefill URL', () => {
  const form = orchestrated(occasion(CHAT))
  const [, decode] = legs(form, { kv_transfer_params: { remote_host: '0.0.0.0', remote_port: 5 } })
  assert.deepEqual(decode['kv_transfer_params'], { remote_host: 'gpu1', remote_port: 5 })
})

test('a shared store: neither leg says anything of a hand-over', () => {
  const body = { ...CHAT, min_tokens: 4, max_completion_tokens: 9 }
  const [prefillBody, decode] = legs(plain(occasion(body)), {}, body)
  assert.deepEqual(prefillBody, { model: 'm', messages: [], max_tokens: 1, stream: false })
  assert.deepEqual(decode, body)
})

test('P2P: one id names both engines, anew for each attempt', () => {
  const form = p2p(occasion(CHAT))
  assert.equal(form.ids[0], 'x-request-id')
  assert.match(form.ids[1]!, /^___prefill_addr_gpu1:8000___decode_addr_gpu2:9000_[0-9a-f]{32}$/)
  const [prefillBody, decode] = legs(form, {})
  assert.deepEqual([prefillBody['max_tokens'], 'kv_transfer_params' in prefillBody], [1, false])
  assert.deepEqual(decode, CHAT)
})

test('Mooncake and MoRI-IO: both legs name one transfer, decode the engine too', async () => {
  for (const [make, name] of [
    [mooncake, /^xfer-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/],
    [moriio, /^tx-[0-9a-f]{32}$/],
  ] as const) {
    const form = make(occasion(CHAT, { prefillPort: 7000 }))
    await form.before?.()
    const [given, taken] = legs(form, { kv_transfer_params: null }).map(
      (body) => body['kv_transfer_params'] as Body,
    )
    assert.match(given!['transfer_id'] as string, name)
    const { transfer_id, remote_bootstrap_addr, remote_engine_id, do_remote_prefill } = taken!
    assert.deepEqual(
      [transfer_id, remote_bootstrap_addr, remote_engine_id, do_remote_prefill],
      [given!['transfer_id'], 'http://gpu1:7000', 'e0', true],
    )
  }
})

test('DistServe: the session that prefill kept is migrated, with all fields', () => {
  const form = distserve(occasion(CHAT, { config: { migrationProtocol: 'NVLINK' } }))
  const answer = { id: '12345678901234567890', cache_block_ids: [4, 5], remote_token_ids: [7, 9] }
  const [given] = legs(form, answer)
  assert.deepEqual(
    [given['with_cache'], given['preserve_cache'], given['max_tokens'], given['max_completion_tokens']],
    [true, true, 1, 1],
  )
  assert.equal(
    textWith({}, form.decode(bytesOf(answer))),
    '{"migration_request":{"protocol":3,"remote_engine_id":"http://gpu1:8000","remote_session_id":12345678901234567890,' +
      '"remote_token_id":9,"remote_block_ids":[4,5],"is_dummy_prefill":false}}',
  )
  assert.throws(() => form.decode(bytesOf({ id: 'chatcmpl-x' })), /kept no cache/)
  assert.deepEqual(edited({}, [dummyMigration(occasion(CHAT))])['migration_request'], {
    protocol: 2,
    remote_engine_id: 'dummy:dummy',
    remote_session_id: 0,
    remote_token_id: 0,
    remote_block_ids: [],
    is_dummy_prefill: true,
  })
})
