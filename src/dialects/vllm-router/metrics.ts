// The vLLM router's metrics under their names and labels, beside ours.
import type { PoolView } from '../../actors/pool-view.ts'
import type { RefusalValue } from '../../actors/ask.ts'
import type { Core } from '../../core.ts'
import type { SourceStatus } from '../../discovery/source.ts'
import type { Reading } from '../../metrics/reading.ts'
import type { Happened, RefusedAt, Step } from '../dialect.ts'
import { Flights, type Flight, type Leg } from '../gateway/flights.ts'
import { named } from '../gateway/named.ts'
import { DURATIONS, Tally } from '../gateway/tally.ts'
import { showPairs, showSources, showWorkers } from './gauges.ts'

const EMBEDDINGS = '/v1/embeddings'
const name = (rest: string): string => `vllm_router_${rest}`

interface Scene {
  /** Whoever reads may see where workers are. */
  readonly withUrls: boolean
  readonly sources?: readonly SourceStatus[] | undefined
}

/** Counts by the options of the translation; one for each app. */
export class Tap {
  readonly #options: Readonly<Record<string, unknown>>
  readonly #isTyped: (path: string) => boolean
  readonly #flights = new Flights()
  readonly #tally = new Tally(DURATIONS)

  /** `isTyped`: its own paths; errors of others are told otherwise. */
  constructor(options: Readonly<Record<string, unknown>>, isTyped: (path: string) => boolean) {
    this.#options = options
    this.#isTyped = isTyped
  }

  /** A call that was let in got no worker, or no answer of one. */
  refused({ status }: RefusalValue, { path, method }: RefusedAt): void {
    if (status < 500 || method !== 'POST') return
    this.#failed(path, status)
  }

  follow(step: Step, core: Core): void {
    if (step.kind === 'sent') this.#sent(step, core)
    if (step.kind !== 'over') return
    const flight = this.#flights.over(step.id)
    if (flight?.hasFailed && flight.attempts > core.config.retries)
      this.#tally.add(name('retries_exhausted_total'), { route: flight.path })
  }

  count(happened: Happened, core: Core): void {
    if (happened.kind === 'ended') return this.#ended(happened, core)
    const { id, url, failure } = happened
    this.#tally.add(name('cb_outcomes_total'), { worker: url, outcome: 'failure' })
    const leg = this.#flights.failed(id)?.legs.find((one) => one.url === url)
    if (leg && leg.type !== 'regular') this.#legFailed(leg, failure)
  }

  read(view: PoolView, { withUrls, sources = [] }: Scene): Reading {
    if (withUrls) showWorkers(this.#tally, view)
    if (withUrls && this.#options['isPaired'] === true) showPairs(this.#tally, view)
    showSources(this.#tally, sources)
    this.#tally.setOwn(name('embeddings_queue_size'), {}, 0)
    return named(this.#tally.read(), view, withUrls)
  }

  #sent(step: Step & { kind: 'sent' }, core: Core): void {
    const tally = this.#tally
    const { path: route, legs, attempts } = this.#flights.sent(step, core)
    for (const { id: worker, type } of legs) {
      const policy = String(this.#options[`${type}Policy`] ?? this.#options['policy'])
      tally.add(name('policy_decisions_total'), { policy, worker })
      tally.add(name('processed_requests_total'), { worker })
      if (type !== 'regular') tally.add(name(`pd_${type}_requests_total`), { worker })
    }
    if (attempts === 1 && legs.length > 1) tally.add(name('pd_requests_total'), { route })
    if (attempts === 1) return
    tally.add(name('retries_total'), { route })
    const attempt = String(attempts - 1)
    tally.observe(name('retry_backoff_duration_seconds'), { attempt }, step.plan.delay / 1000)
  }

  #ended({ passing, ending }: Happened & { kind: 'ended' }, { host }: Core): void {
    const tally = this.#tally
    const { status, worker } = passing
    const flight = this.#flights.find(passing.id)
    const route = flight?.path ?? passing.endpoint
    const seconds = (host.now() - passing.startedAt) / 1000
    tally.observe(name('request_duration_seconds'), { route }, seconds)
    if (status < 400) tally.add(name('requests_total'), { route })
    else this.#failed(route, status)
    if (route === EMBEDDINGS) {
      tally.add(name('embeddings_total'))
      tally.observe(name('embeddings_duration_seconds'), {}, seconds)
    } else if (this.#isTyped(route)) tally.observe(name('generate_duration_seconds'), {}, seconds)
    const isWell = status < 500 && ending.failure === undefined
    const outcome = isWell ? 'success' : 'failure'
    // An answer that was to be tried again has been counted.
    const legs = flight?.hasFailed ? [] : (flight?.legs ?? [{ id: worker }])
    for (const { id } of legs) tally.add(name('cb_outcomes_total'), { worker: id, outcome })
    if (ending.usage?.cachedTokens !== undefined && ending.usage.cachedTokens !== null)
      tally.add(name(ending.usage.cachedTokens > 0 ? 'cache_hits_total' : 'cache_misses_total'))
    if (flight && flight.legs.length > 1) this.#pairEnded(flight, { passing, ending }, seconds)
  }

  #pairEnded(
    { path: route, legs }: Flight,
    { passing, ending }: Omit<Happened & { kind: 'ended' }, 'kind'>,
    seconds: number,
  ): void {
    const tally = this.#tally
    tally.observe(name('pd_request_duration_seconds'), { route }, seconds)
    const { firstTokenAt, failure } = ending
    if (firstTokenAt)
      tally.summarize(name('pd_decode_pending_seconds'), {}, (firstTokenAt - passing.sentAt) / 1000)
    if (!failure) return
    const blamed = legs.find(({ type }) => type === (failure.leg ?? 'decode'))
    if (!blamed) return
    this.#legFailed(blamed, failure.kind)
    if (passing.isStream && blamed.type === 'decode')
      tally.add(name('pd_stream_errors_total'), { worker: blamed.id })
  }

  #legFailed({ id: worker, type }: Leg, error_type: string): void {
    this.#tally.add(name(`pd_${type}_errors_total`), { worker })
    this.#tally.add(name('pd_errors_total'), { error_type })
  }

  #failed(route: string, status: number): void {
    const error_type = this.#isTyped(route) ? 'non_retryable_error' : 'backend_error'
    this.#tally.add(name('request_errors_total'), { route, error_type })
    if (route === EMBEDDINGS)
      this.#tally.add(name('embeddings_errors_total'), { error_type: `http_${status}` })
  }
}
