// Prefill and decode as clients and engines of production-stack's router see them.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { callsOf, CHAT, chat, engine, eventsOf, headerOf, type Fleet } from '../journeys/_rig.ts'
import { speak, type Compat } from './_rig.ts'

const [P1, P2, D1, D2] = ['http://p1:8000', 'http://p2:8000', 'http://d1:8000', 'http://d2:8000'] as const
const LABELS: Readonly<Record<string, string>> = { [P1]: 'pre', [P2]: 'pre', [D1]: 'dec', [D2]: 'dec' }

function open(t: TestContext, fleet: Fleet, logic: string, labels = LABELS): Promise<Compat> {
  const urls = Object.keys(fleet)
  const all = (of: (url: string) => string | undefined) => urls.map(of).join(',')
  return speak(t, productionStack, {
    fleet,
    flags: `--service-discovery static --static-backends ${urls.join(',')} --static-models ${all(() => 'm')} --static-model-labels ${all((url) => labels[url] ?? 'default')} --prefill-model-labels pre --decode-model-labels dec --routing-logic ${logic}`,
  })
}

const read = (text: string | undefined) => JSON.parse(text ?? '{}') as Record<string, unknown>
const fleetOf4 = () => ({ [P1]: engine(), [P2]: engine(), [D1]: engine(), [D2]: engine() })

test('disaggregated_prefill: one token on a prefill engine, then the call as it came on a decode engine', async (t) => {
  const fleet = { [P1]: engine(), [D1]: engine() }
  const router = await open(t, fleet, 'disaggregated_prefill')
  const sent = chat({ max_tokens: 5, min_tokens: 2, max_completion_tokens: 5 })
  const { status, body } = await router.post(CHAT, sent, { authorization: 'Bearer mine' })
  assert.equal(status, 200)
  assert.ok(body.choices[0].message)
  const [prefill] = callsOf(fleet[P1] as never)
  const got = read(prefill?.body)
  assert.equal(got['max_tokens'], 1)
  assert.equal(got['stream'], false)
  for (const key of ['max_completion_tokens', 'min_tokens', 'stream_options', 'kv_transfer_params'])
    assert.equal(got[key], undefined, key)
  const [decode] = callsOf(fleet[D1] as never)
  assert.deepEqual(read(decode?.body), sent)
  assert.equal(headerOf(decode, 'authorization'), 'Bearer mine')
  assert.equal(headerOf(decode, 'x-request-id'), headerOf(prefill, 'x-request-id'))
})

test('disaggregated_prefill: a stream is typed as one', async (t) => {
  const router = await open(t, { [P1]: engine(), [D1]: engine() }, 'disaggregated_prefill')
  const { headers, text } = await router.post(CHAT, chat({ stream: true }))
  assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.ok(eventsOf(text).length > 0)
})

for (const logic of ['disaggregated_prefill', 'disaggregated_prefill_orchestrated'])
  test(`${logic}: all labelled engines take their share`, async (t) => {
    const fleet = fleetOf4()
    const router = await open(t, fleet, logic)
    for (let i = 0; i < 4; i++) assert.equal((await router.post(CHAT, chat())).status, 200)
    assert.deepEqual(
      Object.values(fleet).map((one) => callsOf(one).length),
      [2, 2, 2, 2],
    )
  })

test('disaggregated_prefill_orchestrated: KV parameters go round, with the host of the prefill URL', async (t) => {
  const fleet = { [P1]: engine({ role: 'prefill' }), [D1]: engine() }
  const router = await open(t, fleet, 'disaggregated_prefill_orchestrated')
  await router.post(CHAT, chat({ min_tokens: 3 }))
  const prefill = read(callsOf(fleet[P1] as never)[0]?.body)
  assert.deepEqual(prefill['kv_transfer_params'], {
    do_remote_decode: true,
    do_remote_prefill: false,
    remote_engine_id: null,
    remote_block_ids: null,
    remote_host: null,
    remote_port: null,
  })
  assert.equal(prefill['max_tokens'], 1)
  assert.notEqual(prefill['min_tokens'], 3)
  const decode = read(callsOf(fleet[D1] as never)[0]?.body)
  assert.equal((decode['kv_transfer_params'] as { remote_host?: string }).remote_host, 'p1')
})

test('labels are compared whole', async (t) => {
  const fleet = { [P1]: engine(), [P2]: engine(), [D1]: engine() }
  const labels = { [P1]: 'prefill', [P2]: 'pre', [D1]: 'dec' }
  const router = await open(t, fleet, 'disaggregated_prefill', labels)
  for (let i = 0; i < 2; i++) await router.post(CHAT, chat())
  assert.deepEqual(
    Object.values(fleet).map((one) => callsOf(one).length),
    [0, 2, 2],
  )
})

for (const [missing, gone] of [
  ['PREFILL', P1],
  ['DECODE', D1],
] as const)
  test(`when the last ${missing.toLowerCase()} engine is removed its clients are told`, async (t) => {
    const fleet = { [P1]: engine(), [D1]: engine() }
    const router = await open(t, fleet, 'disaggregated_prefill_orchestrated --host 127.0.0.1')
    const { data } = (await router.ask('/fetchway/v1/workers')).body
    const { id } = data.find(({ url }: { url: string }) => url === gone)
    assert.equal((await router.ask(`/fetchway/v1/workers/${id}`, { method: 'DELETE' })).status, 200)
    const { status, body } = await router.post(CHAT, chat())
    assert.equal(status, 503)
    const role = missing.toLowerCase()
    assert.deepEqual(body, { detail: `${missing}_SERVICE_UNAVAILABLE: No ${role} endpoints discovered` })
    assert.deepEqual(
      Object.values(fleet).map((one) => callsOf(one).length),
      [0, 0],
    )
  })

for (const [logic, leg, error] of [
  ['disaggregated_prefill', 'prefill', { message: /^Prefiller error: /, type: 'prefiller_error', code: 418 }],
  ['disaggregated_prefill', 'decode', { message: /^Decoder error: /, type: 'decoder_error', code: 418 }],
  ['disaggregated_prefill_orchestrated', 'prefill', /^Prefill failed: .*Injected fault/],
  ['disaggregated_prefill_orchestrated', 'decode', /^Decode failed: .*Injected fault/],
] as const)
  test(`${logic}: an error of the ${leg} engine keeps its status, and is told as theirs`, async (t) => {
    const at = leg === 'prefill' ? P1 : D1
    const fleet = { [P1]: engine(), [D1]: engine(), [at]: engine({ fault: 'status=418' }) }
    const router = await open(t, fleet, logic)
    const { status, body } = await router.post(CHAT, chat())
    assert.equal(status, 418)
    if (error instanceof RegExp) return assert.match(body.error, error)
    assert.match(body.error.message, error.message)
    assert.deepEqual([body.error.type, body.error.code], [error.type, error.code])
  })

for (const [logic, status, error] of [
  ['disaggregated_prefill', 500, 'prefiller_error'],
  ['disaggregated_prefill_orchestrated', 503, /^HTTP error: /],
] as const)
  test(`${logic}: a prefill engine that is gone is a ${status}`, async (t) => {
    const router = await open(
      t,
      { [P1]: null, [D1]: engine() },
      `${logic} --max-instance-failover-reroute-attempts 0`,
    )
    const reply = await router.post(CHAT, chat())
    assert.equal(reply.status, status)
    if (typeof error === 'string') assert.equal(reply.body.error.type, error)
    else assert.match(reply.body.error, error)
  })
