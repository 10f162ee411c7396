// LMDeploy: tells its models, and its load where metrics are switched on; no version, no capacity.
import type { AskWorker, EngineFacts, EngineLoad, EnginePlugin } from './engine.ts'
import { byRank, mean, samplesOf, sum } from './exposition.ts'
import { pathSet } from './paths.ts'

const METRICS = '/metrics'

export const lmdeploy: EnginePlugin = {
  name: 'lmdeploy',
  recognise: (card) => card.ownedBy === 'lmdeploy',
  facts: readFacts,
  load: readLoad,
  serves: pathSet([
    '/v1/chat/completions',
    '/v1/chat/interactive',
    '/v1/completions',
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/responses',
    '/v1/responses/',
    '/v1/encode',
    '/generate',
    '/pooling',
    '/get_ppl',
  ]),
  // Sleeping gives its memory back, new weights make what is cached useless.
  cacheClearing: ['/sleep', '/wakeup', '/update_weights'],
}

async function readFacts(ask: AskWorker): Promise<Omit<EngineFacts, 'engine' | 'models'>> {
  const metrics = await ask('GET', METRICS)
  if (metrics?.status !== 200) return {}
  const ranks = byRank(samplesOf(metrics.text, 'lmdeploy:num_requests_running'), 'engine').length
  return { metricsPath: METRICS, loadPath: METRICS, ...(ranks > 0 && { dpSize: ranks }) }
}

async function readLoad(ask: AskWorker): Promise<EngineLoad | null> {
  const metrics = await ask('GET', METRICS)
  if (metrics?.status !== 200) return null
  const running = byRank(samplesOf(metrics.text, 'lmdeploy:num_requests_running'), 'engine')
  if (running.length === 0) return null
  const usage = byRank(samplesOf(metrics.text, 'lmdeploy:gpu_cache_usage_perc'), 'engine')
  return {
    running: sum(running),
    waiting: sum(byRank(samplesOf(metrics.text, 'lmdeploy:num_requests_waiting'), 'engine')),
    ...(usage.length > 0 && { kvUsage: mean(usage) }),
  }
}
