// GET /get_load, the oldest way of telling how busy an engine is: SGLang's list of ranks, or one number.
import type { AskWorker, EngineLoad } from './engine.ts'
import { sum } from './exposition.ts'
import { amount, jsonOf } from './reply.ts'

export const GET_LOAD = '/get_load'

/**
 * Asks an engine that tells its load nowhere else. The answer is a list with `num_reqs`, `num_waiting_reqs` and `num_tokens` of each
 * rank, or `{"load": CALLS}`: both are what the Rust routers ask for. null: there is no such page, or it says something else.
 */
export async function getLoad(ask: AskWorker): Promise<EngineLoad | null> {
  const answer = jsonOf(await ask('GET', GET_LOAD))
  if (Array.isArray(answer)) return loadOfList(answer)
  const calls = (answer as { load?: unknown } | null)?.load
  return typeof calls === 'number' && calls >= 0 ? { running: calls, waiting: 0 } : null
}

function loadOfList(answer: readonly unknown[]): EngineLoad | null {
  const ranks = answer.filter((rank) => typeof rank === 'object' && rank !== null) as Record<
    string,
    unknown
  >[]
  if (ranks.length === 0) return null
  const total = (name: string): number => sum(ranks.map((rank) => amount(rank[name])))
  const waiting = total('num_waiting_reqs')
  return {
    running: Math.max(0, total('num_reqs') - waiting),
    waiting,
    ...(ranks.some((rank) => typeof rank['num_tokens'] === 'number') && { kvTokens: total('num_tokens') }),
  }
}
