// The SGLang router's metrics under their names and labels, beside ours.
import type { PoolView } from '../../actors/pool-view.ts'
import type { RefusalValue } from '../../actors/ask.ts'
import type { Core } from '../../core.ts'
import type { SourceStatus } from '../../discovery/source.ts'
import type { Reading } from '../../metrics/reading.ts'
import { pathname, pathOf } from '../../openai/target.ts'
import type { Happened, RefusedAt, Step } from '../dialect.ts'
import { Flights, type Flight } from '../gateway/flights.ts'
import { named } from '../gateway/named.ts'
import { Runs } from '../gateway/runs.ts'
import { DURATIONS, Tally, type Labels } from '../gateway/tally.ts'
import { Branches } from './branches.ts'
import { upstreamError } from './refusals.ts'
import { showAges, showSources, Workers } from './gauges.ts'

const ENDPOINTS: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'completions',
  '/v1/responses': 'responses',
  '/v1/embeddings': 'embeddings',
  '/v1/classify': 'classify',
  '/v1/rerank': 'rerank',
  '/rerank': 'rerank',
  '/generate': 'generate',
}
const HTTP = { connection_mode: 'http' }

const endpointOf = (path: string): string => ENDPOINTS[path] ?? 'other'

interface Scene {
  /** Whoever reads may see where workers are. */
  readonly withUrls: boolean
  readonly sources?: readonly SourceStatus[] | undefined
}

/** Counts by the options of the translation; one for each app. */
export class Tap {
  readonly #options: Readonly<Record<string, unknown>>
  readonly #common: Labels
  readonly #flights = new Flights()
  readonly #runs = new Runs()
  readonly #workers = new Workers()
  readonly #begun = new WeakMap<Request, number>()
  readonly #branches: Branches
  /** Its buckets are known with the first call. */
  #own: Tally | null = null

  constructor(options: Readonly<Record<string, unknown>>) {
    this.#options = options
    this.#branches = new Branches(String(options['policy']))
    this.#common = { router_type: 'http', backend_type: options['isPaired'] === true ? 'pd' : 'regular' }
  }

  /** A request came in. */
  began(request: Request, { host }: Core): void {
    if (!this.#begun.has(request)) this.#begun.set(request, host.now())
  }

  /** The head of its answer goes out. */
  answered(request: Request, { status, headers }: Response, core: Core): void {
    const tally = this.#tally(core)
    const path = pathLabel(pathname(pathOf(request.url)))
    const { method } = request
    tally.add('smg_http_requests_total', { method, path })
    const error_code = headers.get('x-smg-error-code') ?? ''
    tally.add('smg_http_responses_total', { status_code: String(status), error_code })
    if (status === 429 || status === 408) tally.add('smg_http_rate_limit_total', { result: 'rejected' })
    const begun = this.#begun.get(request)
    if (begun === undefined) return
    const seconds = (core.host.now() - begun) / 1000
    tally.observe('smg_http_request_duration_seconds', { method, path }, seconds)
  }

  /** A call that was let in got no worker, or no answer of one. */
  refused({ status, code }: RefusalValue, { path, model }: RefusedAt, core: Core): void {
    if (status < 500 || !Object.hasOwn(ENDPOINTS, path)) return
    const where = { ...this.#common, ...HTTP, model: model || 'unknown', endpoint: endpointOf(path) }
    const tally = this.#tally(core)
    tally.add('smg_router_requests_total', { ...where, streaming: 'false' })
    if (code === 'no_workers')
      tally.add('smg_router_upstream_responses_total', upstream(status, 'no_available_workers'))
    const error_type = status === 503 ? 'no_workers' : errorType(status)
    tally.add('smg_router_request_errors_total', { ...where, error_type })
  }

  /** A client named a worker that is not there. */
  missed(core: Core): void {
    this.#branches.missed(this.#tally(core))
  }

  follow(step: Step, core: Core): void {
    const tally = this.#tally(core)
    if (step.kind === 'sent') this.#sent(step, core)
    if (step.kind !== 'over') return
    const flight = this.#flights.over(step.id)
    if (!flight?.hasFailed || flight.attempts <= core.config.retries) return
    for (const { type: worker_type } of flight.legs)
      tally.add('smg_worker_retries_exhausted_total', { worker_type, endpoint: endpointOf(flight.path) })
  }

  count(happened: Happened, core: Core): void {
    const tally = this.#tally(core)
    if (happened.kind === 'ended') return this.#ended(tally, happened, core)
    const { id, url, failure, status } = happened
    const [code, error] = status === undefined ? upstreamError(failure) : [status, '']
    tally.add('smg_router_upstream_responses_total', upstream(code, error))
    const leg = this.#flights.failed(id)?.legs.find((one) => one.url === url)
    this.#runs.failed(url)
    tally.add('smg_worker_cb_outcomes_total', { worker: url, outcome: 'failure' })
    const error_type = failure.endsWith('_timeout') ? 'timeout' : 'backend_error'
    tally.add('smg_worker_errors_total', { worker_type: leg?.type ?? 'regular', ...HTTP, error_type })
  }

  read(core: Core, view: PoolView, { withUrls, sources = [] }: Scene): Reading {
    const tally = this.#tally(core)
    if (withUrls) this.#workers.show(tally, view, { runs: this.#runs, model: modelOf(core) })
    tally.setOwn('smg_http_connections_active', {}, core.live)
    showAges(tally, this.#flights, core.host.now())
    showSources(tally, sources)
    this.#branches.show(tally, view, core)
    return named(tally.read(), view, withUrls)
  }

  #tally({ config }: Core): Tally {
    const { durationBuckets: told } = config
    return (this.#own ??= new Tally(told.length > 0 ? told.toSorted((a, b) => a - b) : DURATIONS))
  }

  #sent(step: Step & { kind: 'sent' }, core: Core): void {
    const tally = this.#tally(core)
    const flight = this.#flights.sent(step, core)
    this.#branches.chose(tally, flight, core)
    const { model, legs, attempts } = flight
    const endpoint = endpointOf(flight.path)
    for (const { type: worker_type } of legs) {
      const policy = String(this.#options[`${worker_type}Policy`] ?? this.#options['policy'])
      tally.add('smg_worker_selection_total', { worker_type, ...HTTP, model, policy })
      if (attempts > 1) tally.add('smg_worker_retries_total', { worker_type, endpoint })
    }
    if (attempts === 1) return tally.add('smg_http_rate_limit_total', { result: 'allowed' })
    const attempt = String(attempts - 1)
    tally.summarize('smg_worker_retry_backoff_seconds', { attempt }, step.plan.delay / 1000)
  }

  #ended(tally: Tally, { passing, ending }: Happened & { kind: 'ended' }, core: Core): void {
    const { status, worker, url } = passing
    const flight = this.#flights.find(passing.id)
    const endpoint = endpointOf(flight?.path ?? passing.endpoint)
    const model = passing.model || 'unknown'
    const where = { ...this.#common, ...HTTP, model, endpoint }
    const seconds = (core.host.now() - passing.startedAt) / 1000
    tally.add('smg_router_requests_total', { ...where, streaming: String(passing.isStream === true) })
    tally.observe('smg_router_request_duration_seconds', where, seconds)
    const isWell = status < 500 && ending.failure === undefined
    // An answer that was to be tried again has been counted.
    if (!flight?.hasFailed) {
      tally.add('smg_router_upstream_responses_total', upstream(status, ''))
      const outcome = isWell ? 'success' : 'failure'
      for (const leg of bothOf(flight, { id: worker, url }))
        tally.add('smg_worker_cb_outcomes_total', { worker: leg.id, outcome })
      if (isWell) this.#runs.succeeded(url)
      else this.#runs.failed(url)
    }
    if (status >= 400)
      tally.add('smg_router_request_errors_total', { ...where, error_type: errorType(status) })
    this.#tokens(tally, { ...this.#common, model, endpoint }, { passing, ending, now: core.host.now() })
  }

  /** The original tells these of gRPC alone; here they are known of all. */
  #tokens(
    tally: Tally,
    labels: Labels,
    { passing, ending, now }: Omit<Happened & { kind: 'ended' }, 'kind'> & { readonly now: number },
  ): void {
    const { usage, firstTokenAt } = ending
    if (usage) {
      tally.add('smg_router_tokens_total', { ...labels, token_type: 'input' }, usage.promptTokens)
      tally.add('smg_router_tokens_total', { ...labels, token_type: 'output' }, usage.completionTokens)
    }
    if (!passing.isStream || !firstTokenAt) return
    const whole = (now - passing.sentAt) / 1000
    const first = (firstTokenAt - passing.sentAt) / 1000
    tally.summarize('smg_router_ttft_seconds', labels, first)
    tally.observe('smg_router_generation_duration_seconds', labels, whole)
    const others = (usage?.completionTokens ?? 0) - 1
    if (others > 0) tally.summarize('smg_router_tpot_seconds', labels, (whole - first) / others)
  }
}

/** What came of one attempt: its status, and the router's own code where no worker said it. */
const upstream = (status: number, error_code: string): Labels => ({
  router_type: 'http',
  status_code: String(status),
  error_code,
})

/** The prefill worker did well, too, where the answer came. */
function bothOf(flight: Flight | undefined, last: { readonly id: string; readonly url: string }) {
  const prefill = flight?.legs.find(({ type }) => type === 'prefill')
  return prefill ? [prefill, last] : [last]
}

/** The model of workers where there is one alone. */
function modelOf({ models }: Core): string {
  const bases = models.directory.models.filter(({ parent }) => parent === undefined)
  return bases.length === 1 ? (bases[0]?.id ?? 'unknown') : 'unknown'
}

function errorType(status: number): string {
  if (status === 400) return 'validation_error'
  if (status === 404) return 'no_workers'
  if (status === 408 || status === 504) return 'timeout'
  return status >= 500 ? 'backend_error' : 'internal_error'
}

/** Ids in a path (from its fourth part on) are not told apart. */
function pathLabel(path: string): string {
  const looksLikeId = (part: string) => /\d/.test(part) && part.length > 8
  return path
    .split('/')
    .map((part, at) => (at >= 3 && looksLikeId(part) ? '{id}' : part))
    .join('/')
}
