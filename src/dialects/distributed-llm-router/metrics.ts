// Distributed-LLM-Router's metrics under its own names, beside ours.
import type { RefusalValue } from '../../actors/ask.ts'
import type { PoolView } from '../../actors/pool-view.ts'
import type { Core } from '../../core.ts'
import type { Ending, Passing } from '../../forward/closing.ts'
import type { Reading } from '../../metrics/reading.ts'
import type { Happened } from '../dialect.ts'
import { Counts, gaugeOf, type Definition } from '../python/metrics.ts'

/** Seconds; of all its histograms, that of rates too. */
const BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 30]

const counter = (name: string, help: string, labels: readonly string[]): Definition => ({
  name,
  help,
  labels,
  type: 'counter',
})

const histogram = (name: string, help: string, labels: readonly string[] = []): Definition => ({
  name,
  help,
  labels,
  type: 'histogram',
  bounds: BUCKETS,
})

const DEFINITIONS: readonly Definition[] = [
  counter('requests_total', 'Total inference requests', ['status', 'model']),
  counter('tokens_generated_total', 'Total generated tokens', ['model']),
  counter('tokens_prompt_total', 'Total prompt tokens', ['model']),
  counter('requests_rejected_total', 'Requests rejected by the gateway', ['reason']),
  counter('upstream_errors_total', 'Errors of upstream nodes', ['code']),
  histogram('request_latency_seconds', 'End-to-end request latency'),
  histogram('time_to_first_token_seconds', 'Time to first token of streams'),
  histogram('tokens_per_second', 'Generated tokens a second of each request'),
  counter('requests_per_node_total', 'Requests that a node answered', ['node']),
  histogram('node_latency_seconds', 'Time of a node to answer', ['node']),
  counter('node_failures_total', 'Attempts that a node failed', ['node']),
]

/** How an upstream failure is told. */
function codeOf(failure: string): string {
  if (failure.endsWith('_timeout')) return 'timeout'
  return failure === 'connect' ? 'connection' : 'bad_gateway'
}

export class Gauges {
  readonly #counts = new Counts(DEFINITIONS)

  /** Metrics without labels are shown from here on. `at`: epoch ms. */
  begin(at: number): void {
    this.#counts.begin(at)
  }

  /** An attempt failed, or an answer ended. Clients that left count as nothing, as there. */
  count(happened: Happened, core: Core): void {
    if (happened.kind === 'failed') this.#failed(happened.url, codeOf(happened.failure), core.host.now())
    else if (happened.ending.outcome !== 'left') this.#ended(happened.passing, happened.ending, core)
  }

  refused(
    { code, status }: RefusalValue,
    { core, model }: { readonly core: Core; readonly model: string },
  ): void {
    const at = core.host.now()
    const counts = this.#counts
    if (code === 'queue_full') counts.add('requests_rejected_total', ['queue_full'], { at })
    else if (code === 'missing_api_key' || code === 'invalid_api_key')
      counts.add('requests_rejected_total', ['auth'], { at })
    else if (status >= 500) counts.add('requests_total', ['error', known(core, model)], { at })
  }

  /** Its metrics for the page. */
  read({ config, host }: Core, { in_flight, queued, workers }: PoolView): Reading {
    this.begin(host.now())
    const alone = (name: string, help: string, value: number) =>
      gaugeOf({ name, help, labels: [] }, [[[], value]])
    const nodes = { name: 'node_active_requests', help: 'Requests in progress on a node', labels: ['node'] }
    return [
      ...this.#counts.read(),
      alone('active_requests', 'Requests in progress', in_flight),
      alone('queue_depth', 'Requests that wait', queued),
      alone('queue_capacity', 'Requests that may wait', config.queueSize),
      gaugeOf(
        nodes,
        workers.map((seat) => [[seat.url], seat.in_flight]),
      ),
    ]
  }

  #failed(url: string, code: string, at: number): void {
    this.#counts.add('node_failures_total', [url], { at })
    this.#counts.add('upstream_errors_total', [code], { at })
  }

  #ended({ url, startedAt, sentAt, model: named }: Passing, ending: Ending, { host }: Core): void {
    const counts = this.#counts
    const at = host.now()
    const isGood = ending.outcome === 'ok'
    const model = named || OTHER
    const seconds = (at - startedAt) / 1000
    counts.add('requests_total', [isGood ? 'success' : 'error', model], { at })
    counts.observe('request_latency_seconds', [], { at, value: seconds })
    if (!isGood) {
      // A status was counted as a failed attempt.
      if (ending.failure) this.#failed(url, codeOf(ending.failure.kind), at)
      return
    }
    counts.add('requests_per_node_total', [url], { at })
    counts.observe('node_latency_seconds', [url], { at, value: (at - sentAt) / 1000 })
    const { firstTokenAt, usage } = ending
    if (firstTokenAt)
      counts.observe('time_to_first_token_seconds', [], { at, value: (firstTokenAt - startedAt) / 1000 })
    if (!usage) return
    const { promptTokens, completionTokens } = usage
    counts.add('tokens_prompt_total', [model], { at, amount: promptTokens })
    counts.add('tokens_generated_total', [model], { at, amount: completionTokens })
    if (seconds > 0) counts.observe('tokens_per_second', [], { at, value: completionTokens / seconds })
  }
}

/** Labels must not grow with what clients make up: models of no node share one. */
const OTHER = 'other'

const known = ({ models, config }: Core, model: string): string =>
  model === config.defaultModel ? model : models.known(model) || OTHER
