// All metrics of the router in one table: names, labels, units and buckets are decided here and nowhere else.
import { Answered, type AnsweredCall } from './answered.ts'
import { discoveryMetrics } from './discovery-gauges.ts'
import type { Meter } from './prometheus.ts'
import { workerGauges } from './worker-gauges.ts'

/** Seconds; long enough for reasoning models behind a long queue. */
const FIRST_TOKEN = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40, 80, 160, 300, 600,
]
const INTER_TOKEN = [
  0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5,
  10,
]
const DURATION = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 240, 480, 900, 1800, 3600,
]
/** Seconds; a decision takes microseconds, and milliseconds where the pool is elsewhere. */
const DECIDING = [
  0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1,
]
const WAIT = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]

/** How a call ended, as the label `outcome` says it. */
export type CallOutcome =
  | 'ok'
  | 'client_error'
  | 'upstream_error'
  | 'refused'
  | 'left'
  | 'truncated'
  | 'timeout'

export interface EndedCall {
  readonly model: string
  readonly endpoint: string
  readonly status: number
  /** A `CallOutcome`. */
  readonly outcome: string
  readonly seconds?: number
}

export type Instruments = ReturnType<typeof createInstruments>

/**
 * Defines every metric of the router in `meter`. Times are seconds, sizes bytes, lengths tokens. The label `worker`
 * is the opaque id alone; `fetchway_worker_info` maps it to a URL. Write through `.with(labels…)`, e.g.
 * `instruments.requests.with(model, endpoint, '200', 'ok').add()`.
 */
export function createInstruments(
  meter: Meter,
  options: {
    readonly version?: string
    /** Defines the metrics of the process. */
    readonly showProcess?: (meter: Meter) => void
    /** Bounds of the durations of calls in place of ours, seconds. */
    readonly durations?: readonly number[]
  } = {},
) {
  meter
    .gauge('fetchway_build_info', 'Version of this router, always 1.', ['version'])
    .with(options.version ?? '')
    .set(1)
  options.showProcess?.(meter)
  const table = { ...callMetrics(meter, options.durations ?? DURATION), ...workerMetrics(meter) }
  const answered = new Answered(table)
  return {
    ...table,
    ...workerGauges(meter, (worker) => answered.forget(worker)),
    showSources: discoveryMetrics(meter),
    ...verbs(table),
    /** A worker's answer ended. */
    answered: (call: AnsweredCall): void => answered.count(call),
  }
}

function callMetrics(meter: Meter, durations: readonly number[]) {
  const { counter, gauge, histogram } = meter
  const name = (rest: string) => `fetchway_${rest}`
  return {
    requests: counter(
      name('requests_total'),
      'Calls that ended, by status sent to the client and how they ended.',
      ['model', 'endpoint', 'status', 'outcome'],
    ),
    requestDuration: histogram(
      name('request_duration_seconds'),
      'Time from reading a call to the end of its answer.',
      ['model', 'endpoint'],
      durations,
    ),
    queueWait: histogram(name('queue_wait_seconds'), 'Time that calls waited for room.', [], WAIT),
    decisionTime: histogram(
      name('decision_seconds'),
      'Time that choosing a worker took, waiting for room aside.',
      [],
      DECIDING,
    ),
    refusals: counter(name('refusals_total'), 'Calls that the router itself refused, by error code.', [
      'code',
    ]),
    retries: counter(name('retries_total'), 'Attempts after the first, by what made them necessary.', [
      'reason',
    ]),
    retryBudgetExhausted: counter(
      name('retry_budget_exhausted_total'),
      'Retries that were not made because too many had been.',
      [],
    ),
    degradedDecisions: counter(
      name('degraded_decisions_total'),
      'Workers chosen by hashing because the pool did not answer.',
      [],
    ),
    usageMissed: counter(
      name('usage_missed_total'),
      'Answers that ended without telling their token counts, by shape of the API.',
      ['shape'],
    ),
    semanticCache: counter(
      name('semantic_cache_total'),
      'Chats that were looked up in the semantic cache, by result: hit or miss.',
      ['result'],
    ),
    bufferedBytes: gauge(name('buffered_bytes'), 'Request bodies held in memory now.', []),
  }
}

function workerMetrics(meter: Meter) {
  const { counter, histogram } = meter
  return {
    firstToken: histogram(
      'fetchway_first_token_seconds',
      'Time from sending a streaming call to its first token.',
      ['model', 'worker'],
      FIRST_TOKEN,
    ),
    interToken: histogram(
      'fetchway_inter_token_seconds',
      'Mean time between the tokens of one stream.',
      ['model', 'worker'],
      INTER_TOKEN,
    ),
    tokens: counter(
      'fetchway_tokens_total',
      'Tokens of calls that ended: prompt (cached ones included), cached, completion. estimated: counted by the router.',
      ['model', 'worker', 'kind', 'estimated'],
    ),
    workerRequests: counter('fetchway_worker_requests_total', 'Attempts that ended, by how.', [
      'worker',
      'outcome',
    ]),
    upstreamFailures: counter(
      'fetchway_upstream_failures_total',
      'Attempts that a worker did not answer whole, by what happened.',
      ['worker', 'kind'],
    ),
  }
}

/** What the corridor says of a call in one word. */
function verbs(table: ReturnType<typeof callMetrics>) {
  return {
    /** A call ended with that status (of the answer that the client got, or would have got), after so many seconds. */
    ended: ({ model, endpoint, status, outcome, seconds }: EndedCall): void => {
      table.requests.with(model, endpoint, String(status), outcome).add()
      if (seconds !== undefined) table.requestDuration.with(model, endpoint).observe(seconds)
    },
    refused: (code: string): void => table.refusals.with(code).add(),
    retried: (reason: string): void => table.retries.with(reason).add(),
  }
}
