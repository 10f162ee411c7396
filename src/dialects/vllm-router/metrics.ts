// The vLLM router's metrics under their names and labels, beside ours.
import type { PoolView } from '../../actors/pool-view.ts'
import type { Core } from '../../core.ts'
import type { Reading } from '../../metrics/reading.ts'
import type { Happened } from '../dialect.ts'
import { DURATIONS, Tally } from '../gateway/tally.ts'
import { named } from '../sglang-router/metrics.ts'

const STATES = { closed: 0, open: 1, half_open: 2 } as const
const GAUGES = ['cb_state', 'worker_health', 'worker_load', 'running_requests']

export interface Tap {
  count(happened: Happened, core: Core): void
  read(core: Core, view: PoolView, withUrls: boolean): Reading
}

/** Counts by the options of the translation; one for each app. */
export function createTap(options: Readonly<Record<string, unknown>>): Tap {
  const tally = new Tally(DURATIONS)
  const policy = String(options['policy'])
  return {
    count: (happened, { host }) => {
      if (happened.kind === 'failed') {
        tally.add('vllm_router_cb_outcomes_total', { worker: happened.url, outcome: 'failure' })
        tally.add('vllm_router_retries_total', { route: 'any' })
        return
      }
      const { endpoint: route, status, worker, startedAt } = happened.passing
      tally.observe('vllm_router_request_duration_seconds', { route }, (host.now() - startedAt) / 1000)
      if (status < 400) tally.add('vllm_router_requests_total', { route })
      else tally.add('vllm_router_request_errors_total', { route, error_type: 'non_retryable_error' })
      const outcome = status < 500 ? 'success' : 'failure'
      tally.add('vllm_router_cb_outcomes_total', { worker, outcome })
      tally.add('vllm_router_processed_requests_total', { worker })
      tally.add('vllm_router_policy_decisions_total', { policy, worker })
    },
    read: (_core, view, withUrls) => {
      if (withUrls) showWorkers(tally, view)
      return named(tally.read(), view, withUrls)
    },
  }
}

function showWorkers(tally: Tally, { workers }: PoolView): void {
  for (const name of GAUGES) tally.clear(`vllm_router_${name}`)
  const loads = workers.map(({ in_flight }) => in_flight)
  const isUp = (state: string) => state === 'up' || state === 'busy'
  for (const { url: worker, state, breaker, in_flight } of workers) {
    tally.set('vllm_router_cb_state', { worker }, STATES[breaker])
    tally.set('vllm_router_worker_health', { worker }, isUp(state) ? 1 : 0)
    tally.set('vllm_router_worker_load', { worker }, in_flight)
    tally.set('vllm_router_running_requests', { worker }, in_flight)
  }
  tally.set('vllm_router_active_workers', {}, workers.filter(({ state }) => isUp(state)).length)
  tally.set('vllm_router_max_load', {}, Math.max(0, ...loads))
  tally.set('vllm_router_min_load', {}, loads.length > 0 ? Math.min(...loads) : 0)
}
