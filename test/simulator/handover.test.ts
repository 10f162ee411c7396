import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEngine, type Engine, type EngineOptions } from '../../src/simulator/engine.ts'
import { chat, textOf, type Body } from './_engine.ts'

const LONG = { handoverTimeout: 5000 }
const SHORT = { handoverTimeout: 60 }

/** A prefill and a decode engine that reach each other as `http://prefill:8000` and `http://decode:8000`. */
function pair(options: Omit<EngineOptions, 'role'>): { prefill: Engine; decode: Engine } {
  const engines = new Map<string, Engine>()
  const fetch = ((input: string, init?: RequestInit) => {
    const engine = engines.get(new URL(input).host)
    return engine ? engine.fetch(new Request(input, init)) : Promise.reject(new TypeError('fetch failed'))
  }) as typeof globalThis.fetch
  const make = (role: 'prefill' | 'decode') => createEngine({ ...options, role, fetch, speed: 0 })
  const [prefill, decode] = [make('prefill'), make('decode')]
  engines.set('prefill:8000', prefill).set('decode:8000', decode).set('prefill:8998', prefill)
  return { prefill, decode }
}

function post(engine: Engine, path: string, body: Body | string, more: RequestInit = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const headers = { 'content-type': 'application/json', ...(more.headers as Record<string, string>) }
  const name = engine.seen === undefined ? '' : 'prefill:8000'
  return engine.fetch(new Request(`http://${name}${path}`, { method: 'POST', ...more, headers, body: text }))
}

const plain = async (engine: EngineOptions['engine'], prompt: string): Promise<string> => {
  const answer = await post(
    createEngine({ engine, speed: 0 }),
    '/v1/chat/completions',
    chat(prompt, { max_tokens: 9 }),
  )
  return (await answer.json()).choices[0].message.content
}

const room = { bootstrap_host: 'prefill', bootstrap_port: 8000 }
/** A room beyond what a JavaScript number holds, as JSON text. */
const withRoom = (body: Body, number = '9223372036854775807') =>
  JSON.stringify(body).replace(/}$/, `,"bootstrap_room":${number}}`)

test('SGLang: both halves meet in a room of 63 bits and answer together', async () => {
  const { prefill, decode } = pair({ engine: 'sglang', ...LONG })
  const body = withRoom(chat('Tell me of rivers', { max_tokens: 9, ...room }))
  const [given, answer] = await Promise.all([
    post(prefill, '/v1/chat/completions', body),
    post(decode, '/v1/chat/completions', body),
  ])
  assert.deepEqual([given.status, answer.status], [200, 200])
  assert.equal((await answer.json()).choices[0].message.content, await plain('sglang', 'Tell me of rivers'))
  assert.equal((await given.json()).usage.completion_tokens, 1)
  assert.deepEqual(prefill.seen().handovers, [{ key: '9223372036854775807', state: 'taken' }])
  assert.deepEqual(decode.seen().handovers, [{ key: '9223372036854775807', state: 'received' }])
})

test('SGLang: streams meet too, at the default port where none is told', async () => {
  const { prefill, decode } = pair({ engine: 'sglang', ...LONG })
  const body = withRoom(chat('hi', { max_tokens: 4, stream: true, ...room, bootstrap_port: null }), '7')
  const [, answer] = await Promise.all([
    post(prefill, '/v1/chat/completions', body).then((response) => response.text()),
    post(decode, '/v1/chat/completions', body),
  ])
  assert.notEqual(textOf(await answer.text()), '')
})

test('SGLang: a batch has a room for each of its prompts', async () => {
  const { prefill, decode } = pair({ engine: 'sglang', ...LONG })
  const lists = { bootstrap_host: ['prefill', 'prefill'], bootstrap_port: [8000, 8000] }
  const body = withRoom({ prompt: ['one', 'two'], max_tokens: 3, ...lists }, '[11, 12]')
  const [, answer] = await Promise.all([
    post(prefill, '/v1/completions', body),
    post(decode, '/v1/completions', body),
  ])
  assert.equal((await answer.json()).choices.length, 2)
  assert.deepEqual(prefill.seen().handovers, [{ key: '11,12', state: 'taken' }])
})

for (const [name, other] of [
  ['of another prompt', chat('bye', { ...room })],
  ['that never came', null],
] as const) {
  test(`SGLang: a decode engine refuses the KV ${name}`, async () => {
    const { prefill, decode } = pair({ engine: 'sglang', ...SHORT })
    const given = other && post(prefill, '/v1/chat/completions', withRoom(other, '5'))
    const answer = await post(decode, '/v1/chat/completions', withRoom(chat('hi', { ...room }), '5'))
    assert.equal(answer.status, 500)
    assert.match(await answer.text(), /KVTransferError\(5\)/)
    assert.deepEqual(decode.seen().handovers, [{ key: '5', state: 'refused' }])
    assert.equal(given ? (await given).status : 500, 500)
  })
}

test('SGLang: a prefill engine whose client leaves gives its room up, and the decode engine hears it', async () => {
  const { prefill, decode } = pair({ engine: 'sglang', ...LONG })
  const leaving = new AbortController()
  const body = withRoom(chat('hi', { ...room }), '6')
  const given = post(prefill, '/v1/chat/completions', body, { signal: leaving.signal }).catch(() => null)
  while (prefill.seen().handovers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  leaving.abort()
  await given
  assert.equal((await post(decode, '/v1/chat/completions', body)).status, 500)
  assert.deepEqual(prefill.seen().handovers, [{ key: '6', state: 'aborted' }])
})

/** What a vLLM prefill engine hands over for a prompt. */
async function transferOf(prefill: Engine, prompt: string, more: Body = {}): Promise<Body> {
  const kv_transfer_params = { do_remote_decode: true, do_remote_prefill: false, ...more }
  const answer = await post(
    prefill,
    '/v1/chat/completions',
    chat(prompt, { max_tokens: 1, kv_transfer_params }),
  )
  return (await answer.json()).kv_transfer_params
}

test('vLLM over NIXL: the decode engine goes on where the prefill engine stopped', async () => {
  const { prefill, decode } = pair({ engine: 'vllm', ...SHORT })
  const kv_transfer_params = await transferOf(prefill, 'Once upon a time')
  const body = chat('Once upon a time', { max_tokens: 9, kv_transfer_params })
  const answer = await (await post(decode, '/v1/chat/completions', body)).json()
  assert.equal(answer.choices[0].message.content, await plain('vllm', 'Once upon a time'))
  assert.equal(prefill.seen().handovers[0]?.state, 'taken')
  const again = await post(decode, '/v1/chat/completions', body)
  assert.equal(again.status, 500, 'KV is taken once')
})

for (const [name, change, prompt] of [
  ['KV of another prompt', {}, 'Twice upon a time'],
  ['fewer blocks than the prompt needs', { remote_block_ids: [[]] }, 'Once upon a time'],
  ['an engine that knows nothing of it', { remote_request_id: 'cmpl-0' }, 'Once upon a time'],
] as const) {
  test(`vLLM over NIXL: a decode engine refuses ${name}`, async () => {
    const { prefill, decode } = pair({ engine: 'vllm', ...SHORT })
    const kv_transfer_params = { ...(await transferOf(prefill, 'Once upon a time')), ...change }
    const answer = await post(decode, '/v1/chat/completions', chat(prompt, { kv_transfer_params }))
    assert.equal(answer.status, 500)
  })
}

test('vLLM over P2P: both halves go by the id that names both engines', async () => {
  const { prefill, decode } = pair({ engine: 'vllm', connector: 'p2p', ...SHORT })
  const id = `___prefill_addr_prefill:8000___decode_addr_decode:8000_${'0a'.repeat(16)}`
  const headers = { 'x-request-id': id }
  await post(prefill, '/v1/chat/completions', chat('hi', { max_tokens: 1 }), { headers })
  const answer = await post(decode, '/v1/chat/completions', chat('hi', { max_tokens: 9 }), { headers })
  assert.equal((await answer.json()).choices[0].message.content, await plain('vllm', 'hi'))
  assert.deepEqual(decode.seen().handovers, [{ key: id, state: 'received' }])
})

test('vLLM over Mooncake: the transfer goes by its id and the bootstrap address', async () => {
  const { prefill, decode } = pair({ engine: 'vllm', connector: 'mooncake', ...SHORT })
  const transfer_id = 'xfer-1'
  assert.equal(await transferOf(prefill, 'hi', { transfer_id }), null)
  const query = await prefill.fetch(new Request('http://prefill:8000/query'))
  const remote_engine_id = (await query.json())['0'].engine_id
  const kv_transfer_params = {
    do_remote_decode: false,
    do_remote_prefill: true,
    transfer_id,
    remote_bootstrap_addr: 'http://prefill:8000',
    remote_engine_id,
  }
  const answer = await post(decode, '/v1/chat/completions', chat('hi', { kv_transfer_params }))
  assert.equal(answer.status, 200)
})

test('LMDeploy: blocks migrate once both engines are connected, and are freed on request', async () => {
  const { prefill, decode } = pair({ engine: 'lmdeploy', ...SHORT })
  const preserve = { max_tokens: 1, with_cache: true, preserve_cache: true }
  const give = async () => (await post(prefill, '/v1/chat/completions', chat('hi', preserve))).json()
  const take = (session: string) =>
    post(
      decode,
      '/v1/chat/completions',
      chat('hi', {
        max_tokens: 9,
        migration_request: {
          protocol: 2,
          remote_engine_id: 'http://prefill:8000',
          remote_session_id: Number(session),
          remote_token_id: 0,
          remote_block_ids: [0],
          is_dummy_prefill: false,
        },
      }),
    )
  const first = await give()
  assert.equal((await take(first.id)).status, 500, 'nobody has connected them')
  await post(decode, '/distserve/p2p_connect', { remote_engine_id: 'http://prefill:8000' })
  const answer = await take(first.id)
  assert.equal((await answer.json()).choices[0].message.content, await plain('lmdeploy', 'hi'))
  const second = await give()
  await post(prefill, '/distserve/free_cache', { remote_session_id: Number(second.id) })
  assert.equal((await take(second.id)).status, 500)
  assert.deepEqual(prefill.seen().handovers, [
    { key: first.id, state: 'taken' },
    { key: second.id, state: 'freed' },
  ])
})
