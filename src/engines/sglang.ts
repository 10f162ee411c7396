// SGLang: its /server_info tells nearly everything (keys included, so only what is named here is read from it).
import type { AskWorker, EngineFacts, EngineLoad, EnginePlugin, LoadFacts } from './engine.ts'
import { GET_LOAD as OLD_LOAD } from './get-load.ts'
import { byRank, eachRank, mean, samplesOf, sum, type Sample } from './exposition.ts'
import { pathSet } from './paths.ts'
import { amount, jsonOf, objectOf, positive } from './reply.ts'

const METRICS = '/metrics'
const LOADS = '/v1/loads?include=core'
const RANK = 'dp_rank'

export const sglang: EnginePlugin = {
  name: 'sglang',
  recognise: (card) => card.ownedBy === 'sglang',
  facts: readFacts,
  load: readLoad,
  serves: pathSet([
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/responses',
    '/v1/responses/',
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/embeddings',
    '/v1/classify',
    '/classify',
    '/v1/score',
    '/v1/rerank',
    '/generate',
    '/generate_from_file',
    '/encode',
    '/tokenize',
    '/v1/tokenize',
    '/detokenize',
    '/v1/detokenize',
    '/v1/audio/transcriptions',
    '/v1/images/generations',
    '/v1/images/edits',
    '/v1/videos',
    '/v1/videos/',
    '/vertex_generate',
    '/invocations',
    '/api/chat',
    '/api/generate',
  ]),
  // New weights make the old cache useless, and SGLang drops it with them.
  cacheClearing: [
    '/flush_cache',
    '/release_memory_occupation',
    '/resume_memory_occupation',
    '/update_weights_from_disk',
    '/update_weights_from_tensor',
    '/update_weights_from_distributed',
    '/update_weights_from_ipc',
  ],
}

async function readFacts(ask: AskWorker): Promise<Omit<EngineFacts, 'engine' | 'models'>> {
  const [renamed, metrics] = await Promise.all([ask('GET', '/server_info'), ask('GET', METRICS)])
  const now = objectOf(renamed)
  const info = now ?? objectOf(await ask('GET', '/get_server_info')) // its name until 2025
  const hasMetrics = metrics?.status === 200
  const told = positive(info?.['max_total_num_tokens'])
  const dpSize = positive(info?.['dp_size'])
  const shown = hasMetrics ? sum(byRank(samplesOf(metrics.text, 'sglang:max_total_num_tokens'), RANK)) : 0
  const capacity = shown > 0 ? shown : told && told * (dpSize ?? 1)
  const version = info?.['version']
  const blockTokens = positive(info?.['page_size'])
  const kvEvents = info?.['kv_events']
  return {
    ...(typeof version === 'string' && { version }),
    ...(capacity && { kvCapacityTokens: capacity }),
    ...(blockTokens && { blockTokens }),
    ...(dpSize && { dpSize }),
    ...(typeof kvEvents === 'object' && kvEvents !== null && { kvEvents }),
    ...(hasMetrics && { metricsPath: METRICS }),
    loadPath: now ? LOADS : info ? OLD_LOAD : METRICS,
  }
}

async function readLoad(ask: AskWorker, facts?: LoadFacts): Promise<EngineLoad | null> {
  const path = facts?.loadPath ?? LOADS
  const reply = await ask('GET', path)
  const load = path === METRICS ? loadFromMetrics(reply?.text ?? '') : loadFromRanks(jsonOf(reply))
  if (load || path === METRICS || reply === null) return load
  // Versions between the two have neither the one page nor, without --enable-metrics, the other.
  const old = path === LOADS ? loadFromRanks(jsonOf(await ask('GET', OLD_LOAD))) : null
  return old ?? loadFromMetrics((await ask('GET', METRICS))?.text ?? '')
}

/** `/v1/loads` answers `{loads: [one a rank]}`, `/get_load` the bare list with totals in `num_reqs` and `num_tokens`. */
function loadFromRanks(answer: unknown): EngineLoad | null {
  const listed = Array.isArray(answer) ? (answer as unknown[]) : (answer as { loads?: unknown } | null)?.loads
  if (!Array.isArray(listed) || listed.length === 0) return null
  const ranks = listed.filter((rank): rank is Told => typeof rank === 'object' && rank !== null)
  if (ranks.length < 2) return loadOf(ranks)
  return { ...loadOf(ranks), ranks: ranks.map((one, i) => ({ rank: numberOf(one, i), ...loadOf([one]) })) }
}

type Told = Record<string, unknown>

const numberOf = ({ dp_rank: rank }: Told, place: number): number => (typeof rank === 'number' ? rank : place)

function loadOf(ranks: readonly Told[]): EngineLoad {
  const waiting = sum(ranks.map((rank) => amount(rank['num_waiting_reqs'])))
  const total = sum(ranks.map((rank) => amount(rank['num_reqs'])))
  const running = ranks.some((rank) => 'num_running_reqs' in rank)
    ? sum(ranks.map((rank) => amount(rank['num_running_reqs'])))
    : Math.max(0, total - waiting)
  const usage = told(ranks, 'token_usage')
  const used = told(ranks, 'num_used_tokens')
  const tokens = used.length > 0 ? used : told(ranks, 'num_tokens')
  const capacity = told(ranks, 'max_total_num_tokens')
  const uncached = told(ranks, 'num_waiting_uncached_tokens')
  return {
    running,
    waiting,
    ...(uncached.length > 0 && { waitingUncachedTokens: sum(uncached) }),
    ...(usage.length > 0 && { kvUsage: mean(usage) }),
    ...(tokens.length > 0 && { kvTokens: sum(tokens) }),
    ...(sum(capacity) > 0 && { kvCapacityTokens: sum(capacity) }),
  }
}

/** What the ranks say under a name, those that say nothing left out. */
function told(ranks: readonly Told[], name: string): number[] {
  return ranks.filter((rank) => typeof rank[name] === 'number').map((rank) => amount(rank[name]))
}

function loadFromMetrics(text: string): EngineLoad | null {
  return eachRank(samplesOf(text, 'sglang:num_running_reqs'), RANK, (isMeant) => metricsLoad(text, isMeant))
}

function metricsLoad(text: string, isMeant: (sample: Sample) => boolean): EngineLoad {
  const told = (name: string) => byRank(samplesOf(text, `sglang:${name}`).filter(isMeant), RANK)
  const usage = told('token_usage')
  const tokens = told('num_used_tokens')
  const capacity = sum(told('max_total_num_tokens'))
  return {
    running: sum(told('num_running_reqs')),
    waiting: sum(told('num_queue_reqs')),
    ...(usage.length > 0 && { kvUsage: mean(usage) }),
    ...(tokens.length > 0 && { kvTokens: sum(tokens) }),
    ...(capacity > 0 && { kvCapacityTokens: capacity }),
  }
}
