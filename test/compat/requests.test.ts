// What DLRouter and LMDeploy's proxy ask of a chat or completion before any node sees it, and what they log of where it goes.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { dlrouter } from '../../src/dialects/dlrouter/index.ts'
import { lmdeployProxy } from '../../src/dialects/lmdeploy-proxy/index.ts'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { callsOf, CHAT, chat, engine, W1, W2, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat, type Spoken } from './_rig.ts'

const COMPLETIONS = '/v1/completions'

const PROGRAMS: readonly (readonly [Dialect, string])[] = [
  [dlrouter, '--backend vllm --disable_cache_status'],
  [lmdeployProxy, '--disable-cache-status'],
]

async function opened(
  t: TestContext,
  [dialect, flags]: readonly [Dialect, string],
  fleet: Fleet,
  more: Partial<Spoken> = {},
): Promise<Compat> {
  const router = await speak(t, dialect, { fleet, flags, ...more })
  for (const url of Object.keys(fleet)) await router.post('/nodes/add', { url, status: { models: ['m'] } })
  return router
}

const number = 'Input should be a valid number'

const UNPROCESSABLE: readonly (readonly [string, string, object, (readonly [string, string, string])[]])[] = [
  ['no model', CHAT, { messages: [] }, [['missing', 'model', 'Field required']]],
  ['no messages', CHAT, { model: 'm' }, [['missing', 'messages', 'Field required']]],
  ['no prompt', COMPLETIONS, { model: 'm' }, [['missing', 'prompt', 'Field required']]],
  [
    'neither',
    CHAT,
    {},
    [
      ['missing', 'model', 'Field required'],
      ['missing', 'messages', 'Field required'],
    ],
  ],
  [
    'messages that are a number',
    CHAT,
    { model: 'm', messages: 5 },
    [
      ['string_type', 'messages.str', 'Input should be a valid string'],
      ['list_type', 'messages.list', 'Input should be a valid list'],
    ],
  ],
  [
    'a temperature in words',
    CHAT,
    { ...chat(), temperature: 'hot' },
    [['float_parsing', 'temperature', `${number}, unable to parse string as a number`]],
  ],
  ['a list as top_p', CHAT, { ...chat(), top_p: [] }, [['float_type', 'top_p', number]]],
  [
    'half a token',
    CHAT,
    { ...chat(), max_tokens: 1.5 },
    [
      [
        'int_from_float',
        'max_tokens',
        'Input should be a valid integer, got a number with a fractional part',
      ],
    ],
  ],
]

for (const program of PROGRAMS) {
  const { name } = program[0]

  for (const [what, path, body, findings] of UNPROCESSABLE)
    test(`${name}: ${what} is unprocessable, and no node sees it`, async (t) => {
      const node = engine()
      const router = await opened(t, program, { [W1]: node })
      const reply = await router.post(path, body)
      assert.equal(reply.status, 422)
      const told = (reply.body.detail as { type: string; loc: string[]; msg: string }[]).map(
        ({ type, loc, msg }) => [type, loc.slice(1).join('.'), msg],
      )
      assert.deepEqual(told, findings)
      assert.equal(callsOf(node).length, 0)
    })

  test(`${name}: numbers as texts, nulls, a text as messages and unknown fields pass`, async (t) => {
    const node = engine()
    const router = await opened(t, program, { [W1]: node })
    const fields = { temperature: '0.5', top_p: null, max_tokens: null, guided_json: {} }
    assert.notEqual((await router.post(CHAT, { ...chat(), ...fields })).status, 422)
    assert.notEqual((await router.post(CHAT, { model: 'm', messages: 'Hello' })).status, 422)
    assert.equal(callsOf(node).length, 2)
  })

  test(`${name}: inference is there for POST alone`, async (t) => {
    const router = await opened(t, program, {})
    for (const path of [CHAT, COMPLETIONS]) {
      const { status, headers, body } = await router.ask(path)
      assert.deepEqual([status, headers.get('allow'), body], [405, 'POST', { detail: 'Method Not Allowed' }])
    }
  })
}

for (const [dialect, flags] of PROGRAMS)
  test(`${dialect.name}: a node that failed and is back is tried again after five seconds`, async (t) => {
    const router = await opened(t, [dialect, flags], { [W1]: engine() }, { movesClock: true })
    for (let i = 0; i < 2; i++) {
      const failed = router.post(CHAT, chat(), { 'x-fault': 'die-before-head' })
      await router.pass(1000)
      assert.equal((await failed).status, 502)
    }
    assert.equal((await router.post(CHAT, chat())).status, 503)
    await router.pass(5000)
    assert.equal((await router.post(CHAT, chat())).status, 200)
  })

test('production-stack: a broken engine is tried again after five seconds', async (t) => {
  const flags = `--service-discovery static --static-backends ${W1} --static-models m --routing-logic roundrobin`
  assert.equal((await speak(t, productionStack, { fleet: {}, flags })).config.breakerOpen, 5000)
})

const LINES: readonly (readonly [Dialect, string, string])[] = [
  [dlrouter, '--backend vllm --disable_cache_status', `Dispatching to ${W1} (model=m)`],
  [lmdeployProxy, '--disable-cache-status', `A request is dispatched to ${W1}`],
]

for (const [dialect, flags, line] of LINES)
  test(`${dialect.name} logs where a call goes, and nothing of its prompt`, async (t) => {
    const lines: string[] = []
    const log: Spoken['log'] = (event) => void lines.push(event.message)
    const router = await opened(t, [dialect, flags], { [W1]: engine() }, { log })
    await router.post(CHAT, chat({ messages: [{ role: 'user', content: 'a secret' }] }))
    assert.ok(lines.includes(line), lines.join('\n'))
    assert.ok(!lines.some((text) => text.includes('a secret')))
  })

for (const [half, missing] of [
  ['prefill', 'decode'],
  ['decode', 'prefill'],
] as const)
  test(`production-stack starts with ${half} workers alone, and calls are told what is missing`, async (t) => {
    const flags = `--service-discovery static --static-backends ${W1},${W2} --static-models m,m --routing-logic disaggregated_prefill_orchestrated --static-model-labels a,a --${half}-model-labels a --${missing}-model-labels b`
    const router = await speak(t, productionStack, { fleet: { [W1]: engine(), [W2]: engine() }, flags })
    const { status, body } = await router.post(CHAT, chat())
    const words = `${missing.toUpperCase()}_SERVICE_UNAVAILABLE: No ${missing} endpoints discovered`
    assert.deepEqual([status, body], [503, { detail: words }])
  })

test('the prefill node of a vLLM pair of DLRouter is asked with every member of its params', async (t) => {
  const fleet = { [W1]: engine(), [W2]: engine() }
  const flags = `--backend vllm --serving_strategy distserve --prefill_urls ${W1} --decode_urls ${W2} --models m --disable_cache_status`
  const router = await speak(t, dlrouter, { fleet, flags })
  await router.post(CHAT, chat())
  const [first] = callsOf(fleet[W1])
  const body = JSON.parse(first?.body ?? '{}') as { kv_transfer_params?: object }
  assert.deepEqual(body.kv_transfer_params, {
    do_remote_decode: true,
    do_remote_prefill: false,
    remote_engine_id: null,
    remote_block_ids: null,
    remote_host: null,
    remote_port: null,
    aborted_request: [],
  })
})

test('half of a pair that is added with its models is asked what it is before that is answered, any other node is not', async (t) => {
  const node = engine({ engine: 'lmdeploy' })
  let toldAll = 0
  const told = async (request: Request) => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    toldAll++
    return node.fetch(request)
  }
  const flags = '--backend lmdeploy --serving_strategy distserve --disable_cache_status'
  const router = await speak(t, dlrouter, { fleet: { [W1]: { ...node, fetch: told } }, flags })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'], role: 1 } })
  assert.equal(toldAll, 0)
  await router.post('/nodes/add', { url: W1, status: { models: ['m'], role: 2 } })
  assert.ok(toldAll > 0)
})
