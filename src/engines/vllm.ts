// vLLM: held against recordings of 0.32 (test/recordings/vllm); older versions lack some of it and say 404.
import type { AskWorker, EngineFacts, EngineLoad, EnginePlugin, LoadFacts } from './engine.ts'
import { byRank, eachRank, labelOf, mean, numberLabel, samplesOf, sum, type Sample } from './exposition.ts'
import { getLoad } from './get-load.ts'
import { pathSet } from './paths.ts'
import { jsonOf, objectOf, positive } from './reply.ts'

const METRICS = '/metrics'
const LOAD = '/load'
const RANK = 'engine'

export const vllm: EnginePlugin = {
  name: 'vllm',
  recognise: (card) => card.ownedBy === 'vllm',
  facts: readFacts,
  load: readLoad,
  serves: pathSet([
    '/v1/chat/completions',
    '/v1/chat/completions/batch',
    '/v1/chat/completions/render',
    '/v1/completions',
    '/v1/completions/render',
    '/v1/responses',
    '/v1/responses/',
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/embeddings',
    '/v2/embed',
    '/pooling',
    '/classify',
    '/score',
    '/v1/score',
    '/rerank',
    '/v1/rerank',
    '/v2/rerank',
    '/generative_scoring',
    '/tokenize',
    '/detokenize',
    '/v1/audio/transcriptions',
    '/v1/audio/translations',
    '/v1/realtime',
    '/inference/v1/generate',
    '/invocations',
  ]),
  // Present in development mode only; sleeping drops the cache too.
  cacheClearing: ['/reset_prefix_cache', '/sleep', '/wake_up', '/release_kv_cache_memory'],
}

async function readFacts(ask: AskWorker): Promise<Omit<EngineFacts, 'engine' | 'models'>> {
  const [version, metrics, sources] = await Promise.all([
    ask('GET', '/version'),
    ask('GET', METRICS),
    ask('GET', '/kv_event_sources'),
  ])
  const named = objectOf(version)?.['version']
  const kvEvents = jsonOf(sources)
  return {
    ...(typeof named === 'string' && { version: named }),
    ...(metrics?.status === 200 && { metricsPath: METRICS, loadPath: METRICS, ...cacheFacts(metrics.text) }),
    ...(publishes(kvEvents) && { kvEvents }),
  }
}

/** Capacity from the labels of `vllm:cache_config_info`: one sample a rank. Ranks are told apart in all metrics. */
function cacheFacts(
  text: string,
  isMeant: (sample: Sample) => boolean = () => true,
): Pick<EngineFacts, 'kvCapacityTokens' | 'blockTokens' | 'dpSize'> {
  const ranks = new Map<string, number>()
  let blockTokens: number | null = null
  for (const { labels } of samplesOf(text, 'vllm:cache_config_info').filter(isMeant)) {
    blockTokens ??= numberLabel(labels, 'block_size')
    const blocks = numberLabel(labels, 'num_gpu_blocks')
    // Newer versions tell the tokens themselves, which is right for models with several kinds of cache, too.
    const tokens = numberLabel(labels, 'kv_cache_size_tokens') ?? (blocks ?? 0) * (blockTokens ?? 0)
    ranks.set(labelOf(labels, RANK) ?? '0', tokens)
  }
  const dpSize = Math.max(ranks.size, enginesIn(text))
  const capacity = sum([...ranks.values()])
  return {
    ...(capacity > 0 && { kvCapacityTokens: capacity }),
    ...(blockTokens !== null && { blockTokens }),
    ...(dpSize > 0 && { dpSize }),
  }
}

/** Ranks that are named anywhere: some versions tell of their cache for one alone. */
function enginesIn(text: string): number {
  const names = text.matchAll(/^vllm:[^\n{]*\{(?:[^\n]*,)?engine="(\d+)"/gm)
  return new Set([...names].map(([, name]) => name)).size
}

/** An empty list or object: no publisher is switched on. */
function publishes(sources: unknown): boolean {
  return typeof sources === 'object' && sources !== null && Object.keys(sources).length > 0
}

async function readLoad(ask: AskWorker, facts?: LoadFacts): Promise<EngineLoad | null> {
  const metrics = await ask('GET', facts?.loadPath ?? METRICS)
  if (metrics === null) return null
  const load = metrics.status === 200 ? loadFromMetrics(metrics.text, facts?.kvCapacityTokens) : null
  // Its statistics are switched off, or not for us.
  return load ?? loadOfServer(objectOf(await ask('GET', LOAD))) ?? getLoad(ask)
}

/** `/load` counts calls. 0 is what it says without --enable-server-load-tracking, too: nobody may take that for an idle worker. */
function loadOfServer(answer: Record<string, unknown> | null): EngineLoad | null {
  const calls = positive(answer?.['server_load'])
  return calls === undefined ? null : { running: calls, waiting: 0 }
}

function loadFromMetrics(text: string, known: number | undefined): EngineLoad | null {
  const running = samplesOf(text, 'vllm:num_requests_running')
  return eachRank(running, RANK, (isMeant) => metricsLoad(text, known, isMeant))
}

function metricsLoad(
  text: string,
  known: number | undefined,
  isMeant: (sample: Sample) => boolean,
): EngineLoad {
  const told = (name: string) => byRank(samplesOf(text, `vllm:${name}`).filter(isMeant), RANK)
  const usage = told('kv_cache_usage_perc')
  const older = usage.length > 0 ? usage : told('gpu_cache_usage_perc')
  const capacity = cacheFacts(text, isMeant).kvCapacityTokens ?? known
  return {
    running: sum(told('num_requests_running')),
    waiting: sum(told('num_requests_waiting')),
    ...(older.length > 0 && { kvUsage: mean(older) }),
    ...(older.length > 0 && capacity !== undefined && { kvTokens: Math.round(mean(older) * capacity) }),
    ...(capacity !== undefined && { kvCapacityTokens: capacity }),
    ...prefixCacheUse(told),
  }
}

/** Counters, with the cache's place in their names in older versions; those before that tell a rate alone. */
function prefixCacheUse(told: (name: string) => number[]): Pick<EngineLoad, 'prefixCache'> {
  for (const name of ['prefix_cache', 'gpu_prefix_cache']) {
    const counted = told(`${name}_queries_total`)
    if (counted.length === 0) continue
    const queries = sum(counted)
    const hits = sum(told(`${name}_hits_total`))
    return { prefixCache: { queries, hits, rate: queries > 0 ? hits / queries : 0 } }
  }
  const rates = told('gpu_prefix_cache_hit_rate')
  // Before its first call it tells -1.
  return rates.length > 0 ? { prefixCache: { rate: Math.max(0, mean(rates)) } } : {}
}
