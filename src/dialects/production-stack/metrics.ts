// production-stack's metrics under its own names, with what its README promises besides: time to first token, finished requests, uptime.
import type { PoolView } from '../../actors/pool-view.ts'
import type { SeatView } from '../../actors/seat.ts'
import type { RefusalValue } from '../../actors/ask.ts'
import type { Core } from '../../core.ts'
import type { Ending, Passing } from '../../forward/closing.ts'
import type { FailureKind } from '../../host.ts'
import type { FamilyReading, Reading } from '../../metrics/reading.ts'
import type { Happened, Step } from '../dialect.ts'
import { Counts, gaugeOf, type Definition } from '../python/metrics.ts'
import { RequestStats, type EngineRequests } from './request-stats.ts'
import { Uptimes } from './uptime.ts'

/** Seconds. */
const LATENCY = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const FIRST_TOKEN = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

const INCOMING = 'vllm:num_incoming_requests_total'
const INPUT = 'vllm:input_tokens_total'
const OUTPUT = 'vllm:output_tokens_total'
const ERRORS = 'vllm:request_errors_total'
const SECONDS = 'vllm:request_latency_seconds'
const FIRST = 'vllm:time_to_first_token_seconds'

const COUNTED: readonly Definition[] = [
  { name: INCOMING, help: 'Valid requests that came', type: 'counter', labels: ['model'] },
  { name: INPUT, help: 'Prompt tokens', type: 'counter', labels: ['server', 'model'] },
  { name: OUTPUT, help: 'Generated tokens', type: 'counter', labels: ['server', 'model'] },
  {
    name: ERRORS,
    help: 'Requests that an engine failed',
    type: 'counter',
    labels: ['server', 'model', 'error_type'],
  },
  {
    name: SECONDS,
    help: 'End-to-end request latency in seconds',
    type: 'histogram',
    labels: ['server', 'model', 'status'],
    bounds: LATENCY,
  },
  {
    name: FIRST,
    help: 'Time from sending a stream to its first token in seconds',
    type: 'histogram',
    labels: ['server', 'model'],
    bounds: FIRST_TOKEN,
  },
]

/** What is known of one engine. */
export interface EngineState {
  readonly worker: SeatView
  /** Null: it never got a request. */
  readonly requests: EngineRequests | null
  /** Seconds. */
  readonly uptime: number
}

type Gauge = readonly [name: string, help: string, value: (state: EngineState) => number | undefined]

const fromEngine = (value: number | null | undefined): number | undefined => value ?? undefined

/** Each with the label `server`; engines without the value are left out. */
const GAUGES: readonly Gauge[] = [
  ['vllm:current_qps', 'Requests a second', ({ requests }) => requests?.qps],
  ['vllm:avg_decoding_length', 'Mean tokens of an answer', ({ requests }) => requests?.decodingLength],
  ['vllm:num_prefill_requests', 'Requests before their first token', ({ requests }) => requests?.prefill],
  ['vllm:num_decoding_requests', 'Requests after their first token', ({ requests }) => requests?.decoding],
  [
    'vllm:num_requests_running',
    'Requests under way',
    ({ requests, worker }) =>
      requests ? requests.prefill + requests.decoding : fromEngine(worker.load?.running),
  ],
  ['vllm:num_requests_waiting', 'Requests that wait', ({ worker }) => fromEngine(worker.load?.waiting)],
  ['vllm:avg_latency', 'Mean seconds of a request', ({ requests }) => requests?.latency],
  ['vllm:avg_itl', 'Mean seconds between tokens', ({ requests }) => requests?.itl],
  ['vllm:avg_ttft', 'Mean seconds to the first token', ({ requests }) => requests?.ttft],
  ['vllm:num_requests_swapped', 'Requests swapped out', ({ requests }) => (requests ? 0 : undefined)],
  ['vllm:num_requests_finished', 'Requests that were answered', ({ requests }) => requests?.finished],
  ['vllm:engine_uptime_seconds', 'Seconds for which it has been up', ({ uptime }) => uptime],
  [
    'vllm:gpu_prefix_cache_hit_rate',
    'Share of the prefix cache’s hits',
    ({ worker }) => worker.load?.prefix_cache?.rate,
  ],
  [
    'vllm:gpu_prefix_cache_hits_total',
    'Hits of the prefix cache',
    ({ worker }) => worker.load?.prefix_cache?.hits,
  ],
  [
    'vllm:gpu_prefix_cache_queries_total',
    'Look-ups in the prefix cache',
    ({ worker }) => worker.load?.prefix_cache?.queries,
  ],
  [
    'vllm:gpu_cache_usage_perc',
    'Share of the KV cache in use',
    ({ worker }) => fromEngine(worker.load?.kv_usage),
  ],
  [
    'vllm:healthy_pods_total',
    'Engines that take requests',
    ({ worker }) => (worker.state === 'down' || worker.state === 'draining' ? undefined : 1),
  ],
]

/** How a failure is called there: the exception of its HTTP client. */
const ERROR_TYPES: Readonly<Record<FailureKind, string>> = {
  connect: 'ClientConnectorError',
  connect_timeout: 'ConnectionTimeoutError',
  first_token_timeout: 'SocketTimeoutError',
  idle_timeout: 'SocketTimeoutError',
  total_timeout: 'TimeoutError',
  reset: 'ServerDisconnectedError',
  protocol: 'ClientResponseError',
  aborted: 'ClientConnectionResetError',
}

/** Measures one router's requests by what its core tells. */
export class Statistics {
  readonly #counts = new Counts(COUNTED)
  readonly #requests: RequestStats
  #uptimes: Uptimes | null = null
  /** Models of requests under way. */
  readonly #models = new Map<string, string>()

  /** `window`: ms. */
  constructor(window: number) {
    this.#requests = new RequestStats(window)
  }

  follow(step: Step, { host }: Core): void {
    if (step.kind === 'first') this.#requests.first(step.id, step.at)
    if (step.kind === 'over') {
      this.#requests.over(step.id)
      this.#models.delete(step.id)
    }
    if (step.kind !== 'sent') return
    const { plan, admitted } = step
    const at = host.now()
    const prefill = plan.kind === 'pair' ? { prefillUrl: plan.prefill.url } : {}
    this.#requests.sent(admitted.call.id, { url: plan.worker.url, ...prefill, at })
    if (this.#models.has(admitted.call.id)) return
    this.#models.set(admitted.call.id, admitted.model ?? '')
    this.#counts.add(INCOMING, [admitted.model ?? ''], { at })
  }

  count(happened: Happened, { host }: Core): void {
    const at = host.now()
    if (happened.kind === 'ended') {
      this.#ended(happened, at)
      return
    }
    const { failure, url, id } = happened
    const sentAt = this.#requests.sentAt(id) ?? at
    this.#requests.over(id)
    if (failure === 'status') return
    const model = this.#models.get(id) ?? ''
    this.#counts.add(ERRORS, [url, model, ERROR_TYPES[failure]], { at })
    this.#counts.observe(SECONDS, [url, model, 'error'], { at, value: (at - sentAt) / 1000 })
  }

  /** A request of a model that is known found nobody: it came, too. */
  refused({ code }: RefusalValue, model: string, { host }: Core): void {
    if (model !== '' && UNSENT.has(code)) this.#counts.add(INCOMING, [model], { at: host.now() })
  }

  /** Each engine as it is now, in the fleet's order. */
  engines({ workers }: PoolView, at: number): EngineState[] {
    this.#uptimes ??= new Uptimes(at)
    this.#uptimes.look(workers, at)
    this.#requests.keep(new Set(workers.map(({ url }) => url)))
    return workers.map((worker) => ({
      worker,
      requests: this.#requests.read(worker.url, at),
      uptime: this.#uptimes?.of(worker.url, at) ?? 0,
    }))
  }

  read({ host }: Core, view: PoolView): Reading {
    const states = this.engines(view, host.now())
    const gauges = GAUGES.map(([name, help, value]): FamilyReading => {
      const series = states.flatMap((state): [string[], number][] => {
        const known = value(state)
        return known === undefined ? [] : [[[state.worker.url], known]]
      })
      return gaugeOf({ name, help, labels: ['server'] }, series)
    })
    return [...gauges, ...this.#counts.read()]
  }

  /** Begins to measure how long engines are up. */
  begin(at: number): void {
    this.#uptimes ??= new Uptimes(at)
  }

  #ended({ passing, ending }: { readonly passing: Passing; readonly ending: Ending }, at: number): void {
    const { id, url, status, startedAt, sentAt } = passing
    const { outcome, usage, failure, firstTokenAt, interToken } = ending
    const model = passing.model || (this.#models.get(id) ?? '')
    const isGood = outcome === 'ok'
    this.#requests.ended(id, at, {
      isGood,
      ...(interToken !== undefined && { interToken }),
      ...(usage && { completionTokens: usage.completionTokens }),
    })
    if (failure) this.#counts.add(ERRORS, [url, model, ERROR_TYPES[failure.kind]], { at })
    const isError = status >= 400 || (!isGood && outcome !== 'left')
    // Who left says nothing of how long an answer takes.
    if (outcome !== 'left')
      this.#counts.observe(SECONDS, [url, model, isError ? 'error' : 'success'], {
        at,
        value: (at - startedAt) / 1000,
      })
    if (firstTokenAt) this.#counts.observe(FIRST, [url, model], { at, value: (firstTokenAt - sentAt) / 1000 })
    if (!usage) return
    this.#counts.add(INPUT, [url, model], { at, amount: usage.promptTokens })
    this.#counts.add(OUTPUT, [url, model], { at, amount: usage.completionTokens })
  }
}

/** Refusals of requests that were never sent anywhere. */
const UNSENT = new Set(['no_workers', 'queue_full', 'queue_timeout'])
