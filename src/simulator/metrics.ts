// The engines' /metrics pages, with the names that each of them really has.
import { text, type Handler } from './exchange.ts'
import type { Scheduler } from './scheduler.ts'
import type { Totals } from './sequence.ts'
import type { Simulation, Tally } from './simulation.ts'

type Labels = Readonly<Record<string, string>>

interface Family {
  readonly head: readonly string[]
  readonly samples: string[]
}

/** Writes the text format of Prometheus. */
class Page {
  readonly families: Family[] = []
  readonly #labels: Labels

  constructor(labels: Labels) {
    this.#labels = labels
  }

  #family(name: string, type: string): void {
    const words = name.replaceAll('_', ' ').replace(/^\w+:/, '')
    this.families.push({ head: [`# HELP ${name} ${words}`, `# TYPE ${name} ${type}`], samples: [] })
  }

  #sample(name: string, value: number, labels: Labels = {}): void {
    const all = Object.entries({ ...this.#labels, ...labels }).map(([key, word]) => `${key}="${word}"`)
    this.#write(`${name}{${all.sort().join(',')}} ${Number.isInteger(value) ? `${value}.0` : value}`)
  }

  #write(sample: string): void {
    this.families.at(-1)?.samples.push(sample)
  }

  gauge(name: string, value: number, labels: Labels = {}): this {
    this.#family(name, 'gauge')
    this.#sample(name, value, labels)
    return this
  }

  /** A gauge of value 1 whose labels are what it tells. */
  info(name: string, labels: Labels): this {
    this.#family(name, 'gauge')
    const words = Object.entries(labels).map(([key, word]) => `${key}="${word}"`)
    this.#write(`${name}{${words.sort().join(',')}} 1.0`)
    return this
  }

  gauges(name: string, label: string, values: Readonly<Record<string, number>>): this {
    this.#family(name, 'gauge')
    for (const [word, value] of Object.entries(values)) this.#sample(name, value, { [label]: word })
    return this
  }

  /** A counter; Prometheus clients end its samples with `_total`. */
  counter(name: string, value: number): this {
    this.#family(name, 'counter')
    this.#sample(name.endsWith('_total') ? name : `${name}_total`, value)
    return this
  }

  counters(name: string, label: string, values: Readonly<Record<string, number>>): this {
    this.#family(name, 'counter')
    for (const [word, value] of Object.entries(values))
      this.#sample(`${name}_total`, value, { [label]: word })
    return this
  }

  /** A histogram of which only the sum and the count are kept. */
  histogram(name: string, count: number, sum: number): this {
    this.#family(name, 'histogram')
    this.#sample(`${name}_bucket`, count, { le: '+Inf' })
    this.#sample(`${name}_count`, count)
    this.#sample(`${name}_sum`, sum)
    return this
  }
}

/** One page of all ranks: the same metrics of each, told apart by a label. */
function pageOf(sim: Simulation, page: (rank: Scheduler, number: number) => Page): Response {
  const pages = sim.scheduler.all.map(page)
  const lines = (pages[0] as Page).families.flatMap(({ head }, i) => [
    ...head,
    ...pages.flatMap(({ families }) => families[i]?.samples ?? []),
  ])
  return text(`${lines.join('\n')}\n`, 200, {
    'content-type': 'text/plain; version=1.0.0; charset=utf-8',
  })
}

/** How calls ended is counted by the server, not by its ranks: it is told with the first. */
const talliesOf = ({ tally }: Simulation, rank: number): Tally =>
  rank === 0 ? tally : { finished: 0, aborted: 0, stop: 0, length: 0 }

const usage = ({ cache }: Scheduler) => cache.held / cache.capacity
const modelName = (sim: Simulation) => sim.models[0] as string

export const vllmMetrics: Handler = ({ sim }) => pageOf(sim, (rank, number) => vllmPage(sim, rank, number))

function vllmPage(sim: Simulation, rank: Scheduler, number: number): Page {
  const { totals, running, waiting } = rank
  const tally = talliesOf(sim, number)
  const computed = totals.promptTokens - totals.cachedTokens
  const { blocks, blockTokens } = sim.limits
  const page = new Page({ engine: String(number), model_name: modelName(sim) })
    .gauge('vllm:num_requests_running', running)
    .gauge('vllm:num_requests_waiting', waiting)
    .gauges('vllm:num_requests_waiting_by_reason', 'reason', { capacity: waiting, deferred: 0 })
    .gauges('vllm:engine_sleep_state', 'sleep_state', {
      awake: sim.isSleeping ? 0 : 1,
      weights_offloaded: sim.isSleeping ? 1 : 0,
      discard_all: 0,
    })
    .gauge('vllm:kv_cache_usage_perc', usage(rank))
    .counter('vllm:prefix_cache_queries', totals.promptTokens)
    .counter('vllm:prefix_cache_hits', totals.cachedTokens)
    .counter('vllm:external_prefix_cache_queries', 0)
    .counter('vllm:external_prefix_cache_hits', 0)
    .counter('vllm:num_preemptions', totals.preemptions)
    .counter('vllm:prompt_tokens', totals.promptTokens)
    .counters('vllm:prompt_tokens_by_source', 'source', {
      local_compute: computed,
      local_cache_hit: totals.cachedTokens,
      external_kv_transfer: 0,
    })
    .counter('vllm:prompt_tokens_cached', totals.cachedTokens)
    .counter('vllm:generation_tokens', totals.generatedTokens)
    .counters('vllm:request_success', 'finished_reason', {
      stop: tally.stop,
      length: tally.length,
      abort: tally.aborted,
      error: 0,
    })
  return times(page, 'vllm', totals)
    .histogram('vllm:request_queue_time_seconds', totals.firstTokens, totals.queueMs / 1000)
    .histogram('vllm:request_prefill_time_seconds', totals.firstTokens, totals.prefillMs / 1000)
    .info('vllm:cache_config_info', {
      engine: String(number),
      block_size: String(blockTokens),
      cache_dtype: 'auto',
      enable_prefix_caching: 'True',
      gpu_memory_utilization: '0.92',
      kv_cache_size_tokens: String(blocks * blockTokens),
      num_cpu_blocks: 'None',
      num_gpu_blocks: String(blocks),
    })
}

function times(page: Page, prefix: string, totals: Totals): Page {
  return page
    .histogram(`${prefix}:time_to_first_token_seconds`, totals.firstTokens, totals.firstTokenMs / 1000)
    .histogram(`${prefix}:inter_token_latency_seconds`, totals.gaps, totals.gapMs / 1000)
    .histogram(`${prefix}:e2e_request_latency_seconds`, totals.finished, totals.finishedMs / 1000)
}

export const sglangMetrics: Handler = ({ sim }) =>
  pageOf(sim, (rank, number) => sglangPage(sim, rank, number))

function sglangPage(sim: Simulation, rank: Scheduler, number: number): Page {
  const { totals, running, waiting, cache } = rank
  const used = cache.held * sim.limits.blockTokens
  const dp = sim.scheduler.all.length > 1 ? { dp_rank: String(number) } : {}
  const labels = { ...dp, engine_type: 'unified', model_name: modelName(sim), pp_rank: '0', tp_rank: '0' }
  const page = new Page(labels)
    .gauge('sglang:num_running_reqs', running)
    .gauge('sglang:num_queue_reqs', waiting)
    .gauge('sglang:num_used_tokens', used)
    .gauge('sglang:token_usage', usage(rank))
    .gauge('sglang:max_total_num_tokens', sim.limits.blocks * sim.limits.blockTokens)
    .gauge('sglang:gen_throughput', totals.gapMs === 0 ? 0 : (totals.gaps / totals.gapMs) * 1000)
    .gauge('sglang:cache_hit_rate', totals.promptTokens === 0 ? 0 : totals.cachedTokens / totals.promptTokens)
    .gauge('sglang:utilization', running / sim.limits.maxSequences)
    .gauge('sglang:num_retracted_reqs', 0)
    .counter('sglang:prompt_tokens_total', totals.promptTokens)
    .counter('sglang:generation_tokens_total', totals.generatedTokens)
    .counter('sglang:cached_tokens_total', totals.cachedTokens)
    .counter('sglang:num_requests_total', totals.firstTokens)
    .counter('sglang:num_aborted_requests_total', talliesOf(sim, number).aborted)
  return times(page, 'sglang', totals).histogram(
    'sglang:queue_time_seconds',
    totals.firstTokens,
    totals.queueMs / 1000,
  )
}

export const lmdeployMetrics: Handler = ({ sim }) =>
  pageOf(sim, (rank, number) => lmdeployPage(sim, rank, number))

function lmdeployPage(sim: Simulation, rank: Scheduler, number: number): Page {
  const { totals, running, waiting } = rank
  return new Page({ engine: String(number), model_name: modelName(sim) })
    .gauge('lmdeploy:num_requests_finished', talliesOf(sim, number).finished)
    .gauge('lmdeploy:num_requests_failed', 0)
    .gauge('lmdeploy:num_api_requests_routed', running)
    .gauge('lmdeploy:num_api_requests_waiting', waiting)
    .gauge('lmdeploy:num_requests_running', running)
    .gauge('lmdeploy:num_requests_waiting', waiting)
    .gauge('lmdeploy:gpu_cache_usage_perc', usage(rank))
    .gauge(
      'lmdeploy:prefix_cache_hit_rate',
      totals.promptTokens === 0 ? 0 : totals.cachedTokens / totals.promptTokens,
    )
    .counter('lmdeploy:prompt_tokens_total', totals.promptTokens)
    .counter('lmdeploy:generation_tokens_total', totals.generatedTokens)
    .counter('lmdeploy:cached_tokens_total', totals.cachedTokens)
    .histogram('lmdeploy:time_to_first_token_seconds', totals.firstTokens, totals.firstTokenMs / 1000)
    .histogram('lmdeploy:iter_token_latency', totals.gaps, totals.gapMs / 1000)
    .histogram('lmdeploy:e2e_request_latency_seconds', totals.finished, totals.finishedMs / 1000)
    .histogram('lmdeploy:request_queue_time_seconds', totals.firstTokens, totals.queueMs / 1000)
    .histogram('lmdeploy:request_prefill_time_seconds', totals.firstTokens, totals.prefillMs / 1000)
}
