import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Plan } from '../../../src/actors/ask.ts'
import type { Admitted } from '../../../src/admission/admit.ts'
import type { Core } from '../../../src/core.ts'
import { productionStack } from '../../../src/dialects/production-stack/index.ts'
import { logRouting } from '../../../src/dialects/production-stack/routing-log.ts'
import { chat, engine } from '../../journeys/_rig.ts'
import { speak } from '../../compat/_rig.ts'
import { rig } from '../_rig.ts'

const W1 = 'http://w1:8000'
const W2 = 'http://w2:8000'
const CHAT = '/v1/chat/completions'
const STATIC = `--service-discovery static --static-backends ${W1},${W2} --static-models m,m --routing-logic roundrobin`
const open = (line = '', fleet = { [W1]: engine(), [W2]: engine() }) =>
  rig(productionStack, `${STATIC} ${line}`.trim(), fleet, { healthInterval: 'off', retryDelay: '1ms' })

/** The value of a sample; undefined: it is not there. */
function valueOf(page: string, name: string, ...labels: readonly string[]): number | undefined {
  const found = page
    .split('\n')
    .find(
      (line) =>
        (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) &&
        labels.every((label) => line.includes(label)),
    )
  return found === undefined ? undefined : Number(found.slice(found.lastIndexOf(' ') + 1))
}

const LABELLED: Readonly<Record<string, string>> = {
  'vllm:current_qps': 'gauge',
  'vllm:avg_decoding_length': 'gauge',
  'vllm:num_prefill_requests': 'gauge',
  'vllm:num_decoding_requests': 'gauge',
  'vllm:num_requests_running': 'gauge',
  'vllm:num_requests_waiting': 'gauge',
  'vllm:avg_latency': 'gauge',
  'vllm:avg_itl': 'gauge',
  'vllm:avg_ttft': 'gauge',
  'vllm:num_requests_swapped': 'gauge',
  'vllm:num_requests_finished': 'gauge',
  'vllm:engine_uptime_seconds': 'gauge',
  'vllm:gpu_prefix_cache_hit_rate': 'gauge',
  'vllm:gpu_prefix_cache_hits_total': 'gauge',
  'vllm:gpu_prefix_cache_queries_total': 'gauge',
  'vllm:gpu_cache_usage_perc': 'gauge',
  'vllm:healthy_pods_total': 'gauge',
}

describe('its metrics', () => {
  test('have its names, types and labels, and hold what was measured', async () => {
    const { ask } = await open()
    for (let i = 0; i < 4; i++) assert.equal((await ask(CHAT, { body: chat() })).status, 200)
    assert.equal((await ask(CHAT, { body: chat({ stream: true }) })).status, 200)
    const reply = await ask('/metrics')
    assert.equal(reply.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const page = reply.text
    const at = `server="${W1}"`
    for (const [name, type] of Object.entries(LABELLED)) {
      assert.ok(page.includes(`# TYPE ${name} ${type}\n`), name)
      assert.notEqual(valueOf(page, name, at), undefined, name)
    }
    assert.equal(valueOf(page, 'vllm:current_qps', at), 3 / 60)
    assert.equal(valueOf(page, 'vllm:num_requests_finished', at), 3)
    assert.equal(valueOf(page, 'vllm:num_requests_running', at), 0)
    for (const name of ['vllm:avg_ttft', 'vllm:avg_latency', 'vllm:avg_itl', 'vllm:avg_decoding_length'])
      assert.ok((valueOf(page, name, at) ?? -1) >= 0, name)
    assert.equal(valueOf(page, 'vllm:num_incoming_requests_total', 'model="m"'), 5)
    assert.ok(Math.abs((valueOf(page, 'vllm:num_incoming_requests_created') ?? 0) - Date.now() / 1000) < 60)
    const both = [at, 'model="m"']
    assert.ok((valueOf(page, 'vllm:input_tokens_total', ...both) ?? 0) > 0)
    assert.ok((valueOf(page, 'vllm:output_tokens_total', ...both) ?? 0) > 0)
    const good = [...both, 'status="success"']
    assert.equal(valueOf(page, 'vllm:request_latency_seconds_count', ...good), 3)
    for (const bound of [
      '0.05',
      '0.1',
      '0.25',
      '0.5',
      '1.0',
      '2.5',
      '5.0',
      '10.0',
      '30.0',
      '60.0',
      '120.0',
      '+Inf',
    ])
      assert.notEqual(
        valueOf(page, 'vllm:request_latency_seconds_bucket', ...good, `le="${bound}"`),
        undefined,
        bound,
      )
    assert.ok(valueOf(page, 'vllm:request_latency_seconds_created', ...good))
    assert.equal(valueOf(page, 'vllm:time_to_first_token_seconds_count', ...both), 1)
  })

  test('no gauge keeps calls that failed, and errors are counted by what happened', async () => {
    const { ask } = await open('', {
      [W1]: engine({ fault: 'die-before-head' }),
      [W2]: engine({ fault: 'die-before-head' }),
    })
    for (let i = 0; i < 3; i++) await ask(CHAT, { body: chat() })
    const page = (await ask('/metrics')).text
    for (const name of [
      'vllm:num_prefill_requests',
      'vllm:num_decoding_requests',
      'vllm:num_requests_running',
    ])
      assert.equal(valueOf(page, name, `server="${W1}"`), 0, name)
    assert.ok((valueOf(page, 'vllm:request_errors_total', `server="${W1}"`, 'error_type="') ?? 0) > 0)
    assert.ok((valueOf(page, 'vllm:request_latency_seconds_count', 'status="error"') ?? 0) > 0)
  })

  test('no gauge keeps a client that left its stream, and its call counts as none that ended', async (t) => {
    const fleet = { [W1]: engine({ speed: 1 }), [W2]: engine({ speed: 1 }) }
    const router = await speak(t, productionStack, { flags: STATIC, fleet })
    for (let i = 0; i < 3; i++) {
      const body = JSON.stringify(chat({ stream: true, max_tokens: 500 }))
      const headers = { 'content-type': 'application/json' }
      const request = new Request(`http://router${CHAT}`, { method: 'POST', headers, body })
      const reader = (await router.request(request)).body?.getReader() ?? assert.fail('no stream')
      await reader.read()
      await reader.cancel()
    }
    const running = () => router.metric('vllm:num_requests_running')
    await router.until(async () => (await running()) === 0, 'a gauge leaked')
    for (const name of ['num_prefill_requests', 'num_decoding_requests', 'num_requests_finished'])
      assert.equal(await router.metric(`vllm:${name}`), 0, name)
    assert.equal(await router.metric('vllm:request_latency_seconds_count'), 0)
    assert.equal(await router.metric('vllm:num_incoming_requests_total'), 3)
  })

  test('unknown models make no series', async () => {
    const { ask } = await open()
    await ask(CHAT, { body: chat({ model: 'nope' }) })
    assert.ok(!(await ask('/metrics')).text.includes('model="nope"'))
  })
})

const BLOCK = new RegExp(
  [
    '^\\n={50}\\n',
    `Server: ${W1}\\nModels:\\n  - m\\n`,
    ' Engine Stats: Running Requests: \\d+, Queued Requests: \\d+, GPU Cache Hit Rate: \\d\\.\\d\\d\\n',
    ' Request Stats: QPS: 0\\.02, Avg Latency: \\d\\.\\d\\d, Avg ITL: -1, Prefill Requests: 0, Decoding Requests: 0,',
    ' Swapped Requests: 0, Finished: 1, Uptime: 30\\.\\d\\d sec, TTFT: \\d\\.\\d{4}\\n-{50}\\n',
    `Server: ${W2}\\nModels:\\n  - m\\n`,
    ' Engine Stats: [^\\n]*\\n Request Stats: No stats available\\n-{50}\\n={50}$',
  ].join(''),
)

describe('its logs', () => {
  test('tell statistics by the clock, where they are asked for', async () => {
    const isBlock = ({ isBlock }: { readonly [key: string]: unknown }) => isBlock === true
    const fleet = { [W1]: engine(), [W2]: engine() }
    const by = { movesClock: true, healthInterval: 'off', decisions: 0 }
    const loud = await rig(productionStack, `${STATIC} --log-stats`, fleet, by)
    await loud.ask(CHAT, { body: chat() })
    await loud.pass(29_000)
    assert.equal(loud.logged.filter(isBlock).length, 0)
    await loud.pass(1500)
    await loud.pass(0)
    const [block] = loud.logged.filter(isBlock)
    assert.match(block?.message ?? '', BLOCK)
    const silent = await rig(productionStack, STATIC, fleet, by)
    await silent.pass(60_000)
    assert.equal(silent.logged.filter(isBlock).length, 0)
  })

  test('tell each decision in the words that scripts look for', async () => {
    const { ask, logged } = await open()
    await ask(CHAT, { body: chat(), headers: { 'x-request-id': 'rid-1' } })
    const lines = logged.map(({ message }) => message).filter((message) => /Routing request/.test(message))
    assert.equal(lines.length, 1)
    const [, id, session, url] =
      /Routing request ([^ ]*) with session id ([^ ]*) to ([^ ]*) at /.exec(lines[0] ?? '') ?? []
    assert.deepEqual([id, session, url], ['rid-1', 'None', W1])
    assert.match(lines[0] ?? '', /at \d+\.\d+, process time = \d+\.\d{4}$/)
  })

  test('tell of a pair where either half goes, and no session breaks the line', () => {
    const lines: string[] = []
    const host = {
      now: () => 1_700_000_000_500,
      log: ({ message }: { message: string }) => void lines.push(message),
    }
    const call = { requestId: 'rid', session: 'a b\nc', startedAt: 1_700_000_000_000 }
    const plan = { kind: 'pair', attempt: 1, prefill: { url: W1 }, worker: { url: W2 } }
    logRouting({ host } as unknown as Core, { call } as Admitted, plan as Plan, 1)
    assert.deepEqual(
      lines,
      [W1, W2].map(
        (url) =>
          `Routing request rid with session id a_b_c to ${url} at 1700000000.500000, process time = 0.5000`,
      ),
    )
  })

  test('tell a further attempt, and where it goes', async () => {
    const { ask, logged } = await open('', { [W1]: engine({ fault: 'die-before-head' }), [W2]: engine() })
    await ask(CHAT, { body: chat(), headers: { 'x-request-id': 'rid-2' } })
    const retry = logged.find(({ message }) => message.includes('attempt'))
    assert.equal(retry?.message, `Routing request rid-2 to ${W2} (attempt 2/4)`)
  })
})
