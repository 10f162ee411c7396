// Distributed-LLM-Router's metrics under its own names, beside ours.
import type { RefusalValue } from '../../actors/ask.ts'
import type { PoolView } from '../../actors/pool-view.ts'
import type { Core } from '../../core.ts'
import type { Ending, Passing } from '../../forward/closing.ts'
import { createMeter, type Meter } from '../../metrics/prometheus.ts'
import type { Reading } from '../../metrics/reading.ts'
import type { Happened } from '../dialect.ts'

/** Seconds; of all its histograms, that of rates too. */
const BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 30]

type Table = ReturnType<typeof define>

function define({ counter, gauge, histogram }: Meter) {
  return {
    requests: counter('requests_total', 'Total inference requests', ['status', 'model']),
    generated: counter('tokens_generated_total', 'Total generated tokens', ['model']),
    prompt: counter('tokens_prompt_total', 'Total prompt tokens', ['model']),
    rejected: counter('requests_rejected_total', 'Requests rejected by the gateway', ['reason']),
    upstreamErrors: counter('upstream_errors_total', 'Errors of upstream nodes', ['code']),
    latency: histogram('request_latency_seconds', 'End-to-end request latency', [], BUCKETS),
    firstToken: histogram('time_to_first_token_seconds', 'Time to first token of streams', [], BUCKETS),
    rate: histogram('tokens_per_second', 'Generated tokens a second of each request', [], BUCKETS),
    active: gauge('active_requests', 'Requests in progress', []),
    queued: gauge('queue_depth', 'Requests that wait', []),
    capacity: gauge('queue_capacity', 'Requests that may wait', []),
    nodeRequests: counter('requests_per_node_total', 'Requests that a node answered', ['node']),
    nodeLatency: histogram('node_latency_seconds', 'Time of a node to answer', ['node'], BUCKETS),
    nodeFailures: counter('node_failures_total', 'Attempts that a node failed', ['node']),
    nodeActive: gauge('node_active_requests', 'Requests in progress on a node', ['node']),
  }
}

/** How an upstream failure is told. */
function codeOf(failure: string): string {
  if (failure.endsWith('_timeout')) return 'timeout'
  return failure === 'connect' ? 'connection' : 'bad_gateway'
}

export class Gauges {
  readonly #meter = createMeter()
  readonly #table = define(this.#meter)

  /** An attempt failed, or an answer ended. Clients that left count as nothing, as there. */
  count(happened: Happened, core: Core): void {
    const table = this.#table
    if (happened.kind === 'failed') {
      table.nodeFailures.with(happened.url).add()
      table.upstreamErrors.with(codeOf(happened.failure)).add()
    } else if (happened.ending.outcome !== 'left') ended(table, happened, core)
  }

  refused(
    { code, status }: RefusalValue,
    { core, model }: { readonly core: Core; readonly model: string },
  ): void {
    const table = this.#table
    if (code === 'queue_full') table.rejected.with('queue_full').add()
    else if (code === 'missing_api_key' || code === 'invalid_api_key') table.rejected.with('auth').add()
    else if (status >= 500) table.requests.with('error', known(core, model)).add()
  }

  /** Its metrics for the page. */
  read({ config }: Core, view: PoolView): Reading {
    const table = this.#table
    table.active.with().set(view.in_flight)
    table.queued.with().set(view.queued)
    table.capacity.with().set(config.queueSize)
    table.nodeActive.clear()
    for (const { url, in_flight } of view.workers) table.nodeActive.with(url).set(in_flight)
    return this.#meter.read().filter(({ name }) => !name.startsWith('fetchway_'))
  }
}

function ended(
  table: Table,
  { passing, ending }: { readonly passing: Passing; readonly ending: Ending },
  core: Core,
): void {
  const now = core.host.now()
  const { url, startedAt, sentAt } = passing
  const isGood = ending.outcome === 'ok'
  const model = passing.model || OTHER
  const seconds = (now - startedAt) / 1000
  table.requests.with(isGood ? 'success' : 'error', model).add()
  table.latency.with().observe(seconds)
  if (!isGood) {
    // A status was counted as a failed attempt.
    if (!ending.failure) return
    table.nodeFailures.with(url).add()
    table.upstreamErrors.with(codeOf(ending.failure.kind)).add()
    return
  }
  table.nodeRequests.with(url).add()
  table.nodeLatency.with(url).observe((now - sentAt) / 1000)
  if (ending.firstTokenAt) table.firstToken.with().observe((ending.firstTokenAt - startedAt) / 1000)
  if (!ending.usage) return
  const { promptTokens, completionTokens } = ending.usage
  table.prompt.with(model).add(promptTokens)
  table.generated.with(model).add(completionTokens)
  if (seconds > 0) table.rate.with().observe(completionTokens / seconds)
}

/** Labels must not grow with what clients make up: models of no node share one. */
const OTHER = 'other'

const known = ({ models, config }: Core, model: string): string =>
  model === config.defaultModel ? model : models.known(model) || OTHER
