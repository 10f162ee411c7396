import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { chat, engine as fake } from '../journeys/_rig.ts'
import { rig as open, type Rigged, type Server } from './_rig.ts'

const W1 = 'http://w1:8000'
const W2 = 'http://w2:8000'
const P = 'http://p:8000'
const D = 'http://d:8000'
const CHAT = '/v1/chat/completions'
const sglang = (options: object = {}) => fake({ engine: 'sglang', ...options })

/** Answers its probes and questions, and every call without looking at how KV gets there. */
const answering = (engine: Server): Server => ({
  fetch: async (request) => {
    if (request.method !== 'POST') return engine.fetch(request)
    const events = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
    const { stream } = (await request.json()) as { stream?: boolean }
    return stream === true
      ? new Response(events, { headers: { 'content-type': 'text/event-stream' } })
      : Response.json({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 1 } })
  },
})

/** Answers its probes and questions, and fails every call. */
const failing = (engine = sglang()): Server => ({
  fetch: async (request) =>
    request.method === 'POST' ? new Response('no', { status: 500 }) : engine.fetch(request),
})

const rig = (
  dialect: Dialect,
  line: string,
  fleet: Readonly<Record<string, Server | null>>,
  more: object = {},
): Promise<Rigged> => open(dialect, line, fleet, { healthInterval: 'off', retryDelay: '1ms', ...more })

/** Samples that stand in the metrics, each with its value. */
async function assertMetrics({ metrics }: Rigged, expected: readonly string[]): Promise<void> {
  const text = await metrics()
  for (const line of expected) assert.ok(text.includes(`\n${line}\n`), `${line}\n${relevant(text, line)}`)
}

const relevant = (text: string, line: string): string =>
  text
    .split('\n')
    .filter((one) => one.startsWith(line.split(/[{ ]/)[0] as string))
    .join('\n')

test('smg_: retries, their back-off, breakers and how calls ended', async () => {
  const router = await rig(
    sglangRouter,
    `--worker-urls ${W1} --retry-max-retries 3 --cb-failure-threshold 3 --cb-timeout-duration-secs 3600`,
    { [W1]: failing() },
    { models: 'check' },
  )
  assert.equal((await router.ask(CHAT, { body: chat() })).status, 500)
  assert.equal((await router.ask(CHAT, { body: chat() })).status, 503)
  const where = 'router_type="http",backend_type="regular",connection_mode="http",model="m",endpoint="chat"'
  await assertMetrics(router, [
    'smg_worker_retries_total{worker_type="regular",endpoint="chat"} 2',
    'smg_worker_retries_exhausted_total{worker_type="regular",endpoint="chat"} 1',
    '# TYPE smg_worker_retry_backoff_seconds summary',
    'smg_worker_retry_backoff_seconds_count{attempt="1"} 1',
    'smg_worker_retry_backoff_seconds_count{attempt="2"} 1',
    `smg_worker_cb_transitions_total{worker="${W1}",from="closed",to="open"} 1`,
    `smg_worker_cb_outcomes_total{worker="${W1}",outcome="failure"} 3`,
    `smg_worker_cb_state{worker="${W1}"} 1`,
    `smg_worker_cb_consecutive_failures{worker="${W1}"} 3`,
    'smg_worker_errors_total{worker_type="regular",connection_mode="http",error_type="backend_error"} 3',
    'smg_router_upstream_responses_total{router_type="http",status_code="500",error_code=""} 3',
    'smg_router_upstream_responses_total{router_type="http",status_code="503",error_code="no_available_workers"} 1',
    `smg_router_request_errors_total{${where},error_type="backend_error"} 1`,
    `smg_router_request_errors_total{${where},error_type="no_workers"} 1`,
    'smg_http_inflight_request_age_count{gt="0",le="30"} 0',
    'smg_http_request_duration_seconds_count{method="POST",path="/v1/chat/completions"} 2',
    'smg_worker_pool_size{worker_type="regular",connection_mode="http",model="m"} 1',
  ])
})

test('smg_: attempts that bring no answer count by the code of their error, and the one that succeeds too', async () => {
  const engine = sglang()
  let broken = 2
  const failing: Server = {
    fetch: async (request) => {
      if (request.method === 'POST' && broken-- > 0) throw new TypeError('refused')
      return engine.fetch(request)
    },
  }
  const router = await rig(sglangRouter, `--worker-urls ${W1} --retry-max-retries 3`, { [W1]: failing })
  assert.equal((await router.ask(CHAT, { body: chat() })).status, 200)
  const family = 'smg_router_upstream_responses_total{router_type="http"'
  await assertMetrics(router, [
    `${family},status_code="500",error_code="call_upstream_request_error"} 2`,
    `${family},status_code="200",error_code=""} 1`,
  ])
})

test('smg_: good calls, tokens and the times of streams', async () => {
  const router = await rig(sglangRouter, `--worker-urls ${W1}`, { [W1]: sglang() }, { models: 'check' })
  await router.ask(CHAT, { body: { ...chat(), stream: true } })
  await router.ask('/health')
  const labels = 'router_type="http",backend_type="regular",model="m",endpoint="chat"'
  await assertMetrics(router, [
    `smg_worker_cb_consecutive_successes{worker="${W1}"} 1`,
    `smg_router_ttft_seconds_count{${labels}} 1`,
    `smg_router_generation_duration_seconds_count{${labels}} 1`,
    'smg_http_request_duration_seconds_count{method="GET",path="/health"} 1',
    'smg_http_rate_limit_total{result="allowed"} 1',
  ])
  assert.match(await router.metrics(), /smg_router_tokens_total\{.*token_type="output"\} [1-9]/)
})

test('smg_: probes are counted by what they found', async () => {
  const router = await rig(
    sglangRouter,
    `--worker-urls ${W1}`,
    { [W1]: sglang() },
    { movesClock: true, healthInterval: '10s' },
  )
  await router.pass(35_000)
  const text = await router.metrics()
  assert.match(text, /smg_worker_health_checks_total\{worker_type="regular",result="success"\} [3-5]\n/)
})

test('smg_: a pair counts by role', async () => {
  const fleet = { [P]: answering(sglang()), [D]: answering(sglang()) }
  const line = `--pd-disaggregation --prefill ${P} --decode ${D} --policy random --decode-policy round_robin`
  const router = await rig(sglangRouter, line, fleet, { models: 'check' })
  assert.equal((await router.ask(CHAT, { body: chat() })).status, 200)
  const selected = (type: string, policy: string) =>
    `smg_worker_selection_total{worker_type="${type}",connection_mode="http",model="m",policy="${policy}"} 1`
  await assertMetrics(router, [
    selected('prefill', 'random'),
    selected('decode', 'round_robin'),
    `smg_worker_cb_outcomes_total{worker="${P}",outcome="success"} 1`,
    `smg_worker_cb_outcomes_total{worker="${D}",outcome="success"} 1`,
  ])
})

test('smg_: which way the policy manual went', async () => {
  const router = await rig(sglangRouter, `--worker-urls ${W1} ${W2} --policy manual`, {
    [W1]: sglang(),
    [W2]: sglang(),
  })
  const headers = { 'x-smg-routing-key': 'k' }
  for (const sent of [{ headers }, { headers }, {}]) await router.ask(CHAT, { body: chat(), ...sent })
  await assertMetrics(router, [
    'smg_manual_policy_branch_total{branch="vacant"} 1',
    'smg_manual_policy_branch_total{branch="occupied_hit"} 1',
    'smg_manual_policy_branch_total{branch="no_routing_id"} 1',
    'smg_manual_policy_cache_entries 1',
  ])
  assert.match(await router.metrics(), /smg_worker_routing_keys_active\{worker="http:\/\/w[12]:8000"\} 1\n/)
})

test('smg_: which way consistent hashing went', async () => {
  const router = await rig(sglangRouter, `--worker-urls ${W1} --policy consistent_hashing`, {
    [W1]: sglang(),
  })
  const given: readonly Record<string, string>[] = [
    { 'x-smg-routing-key': 'k' },
    { 'x-smg-target-worker': '0' },
    { 'x-smg-target-worker': '7' },
    {},
  ]
  for (const headers of given) await router.ask(CHAT, { body: chat(), headers })
  const branch = 'smg_consistent_hashing_policy_branch_total'
  await assertMetrics(router, [
    `${branch}{branch="routing_key_hit"} 1`,
    `${branch}{branch="target_worker_hit"} 1`,
    `${branch}{branch="target_worker_miss"} 1`,
    `${branch}{branch="random_fallback"} 1`,
  ])
})

test('vllm_router_: routes of calls, retries and what failed', async () => {
  const line = `--worker-urls ${W1} --retry-max-retries 2 --cb-failure-threshold 2`
  const router = await rig(vllmRouter, line, { [W1]: failing(fake()) })
  await router.ask(CHAT, { body: chat() })
  await assertMetrics(router, [
    'vllm_router_retries_total{route="/v1/chat/completions"} 1',
    'vllm_router_retries_exhausted_total{route="/v1/chat/completions"} 1',
    'vllm_router_retry_backoff_duration_seconds_count{attempt="1"} 1',
    'vllm_router_request_errors_total{route="/v1/chat/completions",error_type="non_retryable_error"} 1',
    `vllm_router_cb_state_transitions_total{worker="${W1}",from="closed",to="open"} 1`,
    `vllm_router_cb_outcomes_total{worker="${W1}",outcome="failure"} 2`,
  ])
})

test('vllm_router_: embeddings, generations and what is passed on have names of their own', async () => {
  const router = await rig(vllmRouter, `--worker-urls ${W1}`, { [W1]: fake() })
  await router.ask(CHAT, { body: chat() })
  await router.ask('/v1/embeddings', { body: { model: 'm', input: 'a' } })
  await router.ask('/v1/embeddings', { body: { model: 'm', input: 7 } })
  await router.ask('/version')
  await router.ask('/nope')
  await assertMetrics(router, [
    'vllm_router_generate_duration_seconds_count 1',
    'vllm_router_embeddings_total 2',
    'vllm_router_embeddings_errors_total{error_type="http_400"} 1',
    'vllm_router_requests_total{route="/version"} 1',
    'vllm_router_request_errors_total{route="/nope",error_type="backend_error"} 1',
    `vllm_router_processed_requests_total{worker="${W1}"} 5`,
    `vllm_router_policy_decisions_total{policy="cache_aware",worker="${W1}"} 5`,
  ])
})

test('vllm_router_: a pair has counters and gauges of its own', async () => {
  const line = `--vllm-pd-disaggregation --prefill ${P} --decode ${D} --policy round_robin`
  const router = await rig(vllmRouter, line, { [P]: fake(), [D]: fake() })
  assert.equal((await router.ask(CHAT, { body: { ...chat(), stream: true } })).status, 200)
  await assertMetrics(router, [
    'vllm_router_pd_requests_total{route="/v1/chat/completions"} 1',
    'vllm_router_pd_request_duration_seconds_count{route="/v1/chat/completions"} 1',
    `vllm_router_pd_prefill_requests_total{worker="${P}"} 1`,
    `vllm_router_pd_decode_requests_total{worker="${D}"} 1`,
    `vllm_router_pd_prefill_occupancy{worker="${P}",rank="aggregate"} 0`,
    `vllm_router_pd_active_decode_requests{worker="${D}",rank="aggregate"} 0`,
    'vllm_router_pd_decode_pending_seconds_count 1',
  ])
})

test('vllm_router_: what a leg of a pair failed with', async () => {
  const line = `--vllm-pd-disaggregation --prefill ${P} --decode ${D} --policy round_robin --disable-retries`
  const fleet = { [P]: failing(fake()), [D]: answering(fake()) }
  const router = await rig(vllmRouter, line, fleet)
  await router.ask(CHAT, { body: chat() })
  await assertMetrics(router, [
    `vllm_router_pd_prefill_errors_total{worker="${P}"} 1`,
    'vllm_router_pd_errors_total{error_type="status"} 1',
  ])
})
