// The same chats one after the other (naive) and several at a time (concurrent), and what came of them.
import { Client, type Target, type Timed } from './client.ts'
import { Progress } from './progress.ts'

export interface LoadPlan extends Target {
  readonly model: string
  readonly requests: number
  readonly concurrency: number
  readonly promptTokens: number
  readonly maxTokens: number
  /** Beside the bar. */
  readonly label: string
}

/** Tokens of the sentence that prompts are made of. */
const SENTENCE = 'Explain how batching on a GPU trades latency for throughput.'
const SENTENCE_TOKENS = 10

export const promptOf = (tokens: number): string =>
  Array.from({ length: Math.max(1, Math.floor(tokens / SENTENCE_TOKENS)) }, () => SENTENCE).join(' ')

/** Makes the calls, `concurrency` at a time. Returns them in the order in which they ended, and seconds in all. */
export async function run(plan: LoadPlan): Promise<{ readonly calls: Timed[]; readonly seconds: number }> {
  const client = new Client(plan)
  const progress = new Progress(plan.label, plan.requests)
  const body = {
    model: plan.model,
    messages: [{ role: 'user', content: promptOf(plan.promptTokens) }],
    max_tokens: plan.maxTokens,
    temperature: 0,
  }
  const calls: Timed[] = []
  let begun = 0
  const startedAt = performance.now()
  const lane = async () => {
    while (begun < plan.requests) {
      begun++
      calls.push(await client.chat(body))
      progress.step()
    }
  }
  await Promise.all(Array.from({ length: plan.concurrency }, lane))
  const seconds = (performance.now() - startedAt) / 1000
  client.close()
  return { calls, seconds }
}

/** Figures of a run, as they stand in its file. `error_rate` in percent. */
export function figuresOf({
  calls,
  seconds,
}: {
  readonly calls: readonly Timed[]
  readonly seconds: number
}) {
  const good = calls.filter(({ failure }) => failure === null)
  const latencies = good.map(({ latency }) => latency)
  const first = good.flatMap(({ firstToken }) => (firstToken === null ? [] : [firstToken]))
  const tokens = good.reduce((sum, { completionTokens }) => sum + completionTokens, 0)
  return {
    total_time_seconds: seconds,
    requests_per_second: good.length / Math.max(seconds, 1e-9),
    tokens_per_second: tokens / Math.max(seconds, 1e-9),
    latency_p50_ms: quantile(latencies, 0.5),
    latency_p95_ms: quantile(latencies, 0.95),
    latency_p99_ms: quantile(latencies, 0.99),
    time_to_first_token_p50_ms: quantile(first, 0.5),
    error_rate: (100 * (calls.length - good.length)) / Math.max(1, calls.length),
  }
}

/** Calls by the node that answered them. */
export function nodesOf(calls: readonly Timed[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { node } of calls) counts[node ?? 'unknown'] = (counts[node ?? 'unknown'] ?? 0) + 1
  return counts
}

/** With the values beside it weighed; 0 where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const [low, high] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0]
  return low + (high - low) * (at - Math.floor(at))
}

/** Why the first of the failed calls failed, for people; null: none did. */
export const firstFailure = (calls: readonly Timed[]): string | null =>
  calls.find(({ failure }) => failure !== null)?.failure ?? null
