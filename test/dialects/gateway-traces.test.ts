import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { callsOf, chat, engine as fake, headerOf, type Json } from '../journeys/_rig.ts'
import { rig as open } from './_rig.ts'

const W1 = 'http://w1:8000'
const COLLECTOR = 'http://collector:4318'
const CHAT = '/v1/chat/completions'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

/** A router whose spans go to a collector by script. */
async function rig(dialect: Dialect, line: string, isUp = true) {
  const engine = fake({ engine: dialect === sglangRouter ? 'sglang' : 'vllm' })
  const bodies: Json[] = []
  const collector = {
    fetch: async (request: Request) => {
      bodies.push({ path: new URL(request.url).pathname, ...((await request.json()) as object) })
      return Response.json({})
    },
  }
  const fleet = { [W1]: engine, [COLLECTOR]: isUp ? collector : null }
  const workers =
    dialect === productionStack
      ? `--service-discovery static --static-backends ${W1} --static-models m --routing-logic roundrobin`
      : `--worker-urls ${W1} --disable-health-check`
  const router = await open(dialect, `${workers} ${line}`.trim(), fleet, {
    movesClock: true,
  })
  const spans = async (): Promise<Json[]> => {
    await router.pass(1500)
    return bodies.flatMap(({ resourceSpans }) => resourceSpans[0].scopeSpans[0].spans)
  }
  return { ...router, engine, spans, bodies }
}

const FULL = '--enable-trace --otlp-traces-endpoint collector:4317'
const valueOf = (span: Json, key: string): unknown =>
  Object.values(span.attributes.find((one: Json) => one.key === key)?.value ?? {})[0]

for (const dialect of [sglangRouter, vllmRouter]) {
  test(`${dialect.name}: --enable-trace sends a span of each call, in the trace of its client`, async () => {
    const { ask, engine, spans, bodies } = await rig(dialect, FULL)
    const headers = { traceparent: `00-${TRACE}-${PARENT}-01` }
    assert.equal((await ask(CHAT, { body: chat(), headers })).status, 200)
    const [span, more] = await spans()
    assert.equal(more, undefined)
    assert.deepEqual(
      [span.traceId, span.parentSpanId, span.name, span.kind, span.status],
      [TRACE, PARENT, `POST ${CHAT}`, 2, { code: 1 }],
    )
    assert.equal(valueOf(span, 'http.response.status_code'), '200')
    assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano))
    assert.equal(bodies[0].path, '/v1/traces')
    assert.equal(bodies[0].resourceSpans[0].resource.attributes[0].value.stringValue, dialect.name)
    const sent = headerOf(callsOf(engine)[0] as never, 'traceparent')
    assert.equal(sent, `00-${TRACE}-${span.spanId}-01`, 'its worker continues it')
  })

  test(`${dialect.name}: without it nothing is sent, and the client's own place is passed on`, async () => {
    const { ask, engine, spans } = await rig(dialect, '--otlp-traces-endpoint collector:4317')
    const headers = { traceparent: `00-${TRACE}-${PARENT}-01` }
    await ask(CHAT, { body: chat(), headers })
    assert.deepEqual(await spans(), [])
    assert.equal(headerOf(callsOf(engine)[0] as never, 'traceparent'), headers.traceparent)
  })

  test(`${dialect.name}: a client that is not sampled is not sent`, async () => {
    const { ask, spans } = await rig(dialect, FULL)
    await ask(CHAT, { body: chat(), headers: { traceparent: `00-${TRACE}-${PARENT}-00` } })
    assert.deepEqual(await spans(), [])
  })

  test(`${dialect.name}: a collector that is away is told once, and costs no call`, async () => {
    const { ask, spans, logged } = await rig(dialect, FULL, false)
    for (let i = 0; i < 2; i++) {
      assert.equal((await ask(CHAT, { body: chat() })).status, 200)
      await spans()
    }
    assert.equal(logged.filter(({ message }) => message.startsWith('traces are lost')).length, 1)
  })
}

test('vllm-router: --otel-sampling-ratio 0 sends none of the traces that begin here', async () => {
  const { ask, spans } = await rig(vllmRouter, `${FULL} --otel-sampling-ratio 0`)
  await ask(CHAT, { body: chat() })
  assert.deepEqual(await spans(), [])
})

test('vllm-router: --otel-excluded-paths are not traced', async () => {
  const { ask, spans } = await rig(vllmRouter, `${FULL} --otel-excluded-paths ${CHAT}`)
  await ask(CHAT, { body: chat() })
  await ask('/v1/completions', { body: { model: 'm', prompt: 'a' } })
  assert.deepEqual(
    (await spans()).map(({ name }) => name),
    ['POST /v1/completions'],
  )
})

test('a call that is refused is a span with its status', async () => {
  const { ask, spans } = await rig(sglangRouter, `${FULL} --enable-igw`)
  const { status } = await ask(CHAT, { body: { ...chat(), model: 'none' } })
  const [span] = await spans()
  assert.equal(valueOf(span, 'http.response.status_code'), String(status))
})

test('production-stack: a call is a span of the router, and one of the engine inside that the engine continues', async () => {
  const { ask, engine, spans, bodies } = await rig(productionStack, '--otel-endpoint collector:4317')
  const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, 'x-request-id': 'mine' }
  assert.equal((await ask(CHAT, { body: chat(), headers })).status, 200)
  const [outer, inner, more] = await spans()
  assert.equal(more, undefined)
  assert.deepEqual(
    [outer, inner].map(({ traceId, parentSpanId, name, kind }: Json) => [traceId, parentSpanId, name, kind]),
    [
      [TRACE, PARENT, `router ${CHAT}`, 2],
      [TRACE, outer.spanId, 'process_request', 3],
    ],
  )
  for (const [key, value] of [
    ['http.method', 'POST'],
    ['http.url', `http://router${CHAT}`],
    ['http.target', CHAT],
    ['vllm.request_id', 'mine'],
    ['vllm.model', 'm'],
    ['vllm.backend_url', W1],
    ['vllm.routing_logic', 'roundrobin'],
    ['http.status_code', '200'],
  ] as const)
    assert.equal(valueOf(outer, key), value, key)
  assert.equal(valueOf(inner, 'vllm.is_streaming'), false)
  assert.equal(bodies[0].resourceSpans[0].resource.attributes[0].value.stringValue, 'vllm-router')
  const sent = headerOf(callsOf(engine)[0] as never, 'traceparent')
  assert.equal(sent, `00-${TRACE}-${inner.spanId}-01`)
})

test('production-stack: a call that no engine gets is one span with its status', async () => {
  const { ask, spans } = await rig(productionStack, '--otel-endpoint collector:4317')
  const { status } = await ask(CHAT, { body: { ...chat(), model: 'none' } })
  const [span, more] = await spans()
  assert.equal(more, undefined)
  assert.equal(valueOf(span, 'http.status_code'), String(status))
})
