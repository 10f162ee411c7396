// The SGLang router's metrics under their names and labels, beside ours.
import type { PoolView } from '../../actors/pool-view.ts'
import type { Core } from '../../core.ts'
import type { FamilyReading, Reading } from '../../metrics/reading.ts'
import { pathname, pathOf } from '../../openai/call.ts'
import type { Happened } from '../dialect.ts'
import { DURATIONS, Tally } from '../gateway/tally.ts'

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
const STATES = { closed: 0, open: 1, half_open: 2 } as const
const ROLES: Readonly<Record<string, string>> = { prefill: 'prefill', decode: 'decode' }

export interface Tap {
  answered(request: Request, response: Response): void
  count(happened: Happened, core: Core): void
  read(core: Core, view: PoolView, withUrls: boolean): Reading
}

/** Counts by the options of the translation; one for each app. */
export function createTap(options: Readonly<Record<string, unknown>>): Tap {
  const common = {
    router_type: 'http',
    backend_type: options['isPaired'] === true ? 'pd' : 'regular',
  }
  let tally: Tally | null = null
  const of = (core: Core): Tally =>
    (tally ??= new Tally(
      core.config.durationBuckets.length > 0
        ? core.config.durationBuckets.toSorted((a, b) => a - b)
        : DURATIONS,
    ))
  const early = new Tally()
  return {
    answered: ({ method, url }, { status, headers }) => {
      early.add('smg_http_requests_total', { method, path: pathLabel(pathname(pathOf(url))) })
      const error_code = headers.get('x-smg-error-code') ?? ''
      early.add('smg_http_responses_total', { status_code: String(status), error_code })
      if (status === 429 || status === 408) early.add('smg_http_rate_limit_total', { result: 'rejected' })
    },
    count: (happened, core) => {
      if (happened.kind === 'failed') countFailed(of(core), happened)
      else countEnded(of(core), happened, { common, policy: String(options['policy']) }, core)
    },
    read: (core, view, withUrls) => {
      const own = of(core)
      if (withUrls) showWorkers(own, view)
      own.set('smg_http_connections_active', {}, core.live)
      return named([...early.read(), ...own.read()], view, withUrls)
    },
  }
}

function countFailed(tally: Tally, { url, failure }: Happened & { kind: 'failed' }): void {
  tally.add('smg_worker_cb_outcomes_total', { worker: url, outcome: 'failure' })
  const error_type = failure.endsWith('_timeout') ? 'timeout' : 'backend_error'
  tally.add('smg_worker_errors_total', { worker_type: 'regular', connection_mode: 'http', error_type })
  tally.add('smg_worker_retries_total', { worker_type: 'regular', endpoint: 'other' })
}

function countEnded(
  tally: Tally,
  { passing }: Happened & { kind: 'ended' },
  { common, policy }: { readonly common: Readonly<Record<string, string>>; readonly policy: string },
  { host }: Core,
): void {
  const { status, worker } = passing
  const endpoint = ENDPOINTS[passing.endpoint] ?? 'other'
  const model = passing.model || 'unknown'
  const where = { ...common, connection_mode: 'http', model, endpoint }
  const seconds = (host.now() - passing.startedAt) / 1000
  tally.add('smg_router_requests_total', { ...where, streaming: String(passing.isStream === true) })
  tally.observe('smg_router_request_duration_seconds', where, seconds)
  tally.observe('smg_http_request_duration_seconds', { method: 'POST', path: passing.endpoint }, seconds)
  const answer = { router_type: 'http', status_code: String(status), error_code: '' }
  tally.add('smg_router_upstream_responses_total', answer)
  tally.add('smg_http_rate_limit_total', { result: 'allowed' })
  const chosen = { worker_type: 'regular', connection_mode: 'http', model, policy }
  tally.add('smg_worker_selection_total', chosen)
  tally.add('smg_worker_cb_outcomes_total', { worker, outcome: status < 500 ? 'success' : 'failure' })
  if (status >= 400) tally.add('smg_router_request_errors_total', { ...where, error_type: errorType(status) })
}

function errorType(status: number): string {
  if (status === 400) return 'validation_error'
  if (status === 404) return 'no_workers'
  if (status === 408 || status === 504) return 'timeout'
  return status >= 500 ? 'backend_error' : 'internal_error'
}

/** Gauges of the workers as they are now. */
function showWorkers(tally: Tally, view: PoolView): void {
  const gauges = ['worker_requests_active', 'worker_health', 'worker_cb_state', 'worker_pool_size']
  for (const name of gauges) tally.clear(`smg_${name}`)
  const sizes = new Map<string, number>()
  let active = 0
  for (const { url, role, state, breaker, in_flight } of view.workers) {
    tally.set('smg_worker_requests_active', { worker: url }, in_flight)
    tally.set('smg_worker_health', { worker: url }, state === 'up' || state === 'busy' ? 1 : 0)
    tally.set('smg_worker_cb_state', { worker: url }, STATES[breaker])
    const type = ROLES[role] ?? 'regular'
    sizes.set(type, (sizes.get(type) ?? 0) + 1)
    active += in_flight
  }
  for (const [worker_type, size] of sizes)
    tally.set('smg_worker_pool_size', { worker_type, connection_mode: 'http', model: 'unknown' }, size)
  tally.set('smg_worker_connections_active', { worker_type: 'regular', connection_mode: 'http' }, active)
}

/** Workers by their URLs, as there; none of them for whoever may not see where workers are. */
export function named(families: readonly FamilyReading[], view: PoolView, withUrls: boolean): Reading {
  if (!withUrls) return families.filter(({ labels }) => !labels.includes('worker'))
  const urls = new Map(view.workers.map(({ id, url }) => [id, url]))
  return families.map((family) => {
    const at = family.labels.indexOf('worker')
    if (at < 0) return family
    const series = family.series.map(({ values, numbers }) => ({
      values: values.map((value, index) => (index === at ? (urls.get(value) ?? value) : value)),
      numbers,
    }))
    return { ...family, series: joined(series) }
  })
}

/** Failures are told by URL, answers by id: of one worker they are one series. */
function joined(series: FamilyReading['series']): FamilyReading['series'] {
  const found = new Map<string, { values: readonly string[]; numbers: number[] }>()
  for (const { values, numbers } of series) {
    const key = values.join('\0')
    const known = found.get(key)
    if (!known) found.set(key, { values, numbers: [...numbers] })
    else for (const [at, number] of numbers.entries()) known.numbers[at] = (known.numbers[at] ?? 0) + number
  }
  return [...found.values()]
}

/** Ids in a path (from its fourth part on) are not told apart. */
function pathLabel(path: string): string {
  const looksLikeId = (part: string) => /\d/.test(part) && part.length > 8
  return path
    .split('/')
    .map((part, at) => (at >= 3 && looksLikeId(part) ? '{id}' : part))
    .join('/')
}
