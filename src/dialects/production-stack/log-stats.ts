// What `--log-stats` logs of each engine, in production-stack's layout.
import type { Directory } from '../../actors/members.ts'
import type { WorkerView } from '../../actors/members.ts'
import type { LoadView } from '../../actors/load-view.ts'
import type { EngineState } from './metrics.ts'
import type { EngineRequests } from './request-stats.ts'

/** Names of an engine's models, and of which each is an adapter. */
type Models = readonly { readonly id: string; readonly parent?: string }[]

/**
 * The block, with a line break before it. Times are seconds, `-1` where nothing was measured. `modelsOf`: of the engine with that URL.
 * The time to first token stands last in its line: it is not in the original's.
 */
export function statsBlock(states: readonly EngineState[], modelsOf: (url: string) => Models): string {
  const lines = ['', '='.repeat(50)]
  for (const { worker, requests, uptime } of states) {
    lines.push(`Server: ${worker.url}`, 'Models:')
    for (const { id, parent } of modelsOf(worker.url))
      lines.push(`  - ${id}${parent === undefined ? '' : ` (adapter for ${parent})`}`)
    lines.push(engineLine(worker.load), requestLine(requests, uptime), '-'.repeat(50))
  }
  lines.push('='.repeat(50))
  return lines.join('\n')
}

function engineLine(load: LoadView | null): string {
  if (load === null) return ' Engine Stats: No stats available'
  const rate = load.prefix_cache?.rate ?? 0
  return ` Engine Stats: Running Requests: ${load.running ?? 0}, Queued Requests: ${load.waiting ?? 0}, GPU Cache Hit Rate: ${rate.toFixed(2)}`
}

function requestLine(requests: EngineRequests | null, uptime: number): string {
  if (requests === null) return ' Request Stats: No stats available'
  const { qps, latency, itl, prefill, decoding, finished, ttft } = requests
  const parts = [
    `QPS: ${qps.toFixed(2)}`,
    `Avg Latency: ${shown(latency, 2)}`,
    `Avg ITL: ${shown(itl, 4)}`,
    `Prefill Requests: ${prefill}`,
    `Decoding Requests: ${decoding}`,
    'Swapped Requests: 0',
    `Finished: ${finished}`,
    `Uptime: ${uptime.toFixed(2)} sec`,
    `TTFT: ${shown(ttft, 4)}`,
  ]
  return ` Request Stats: ${parts.join(', ')}`
}

const shown = (value: number, digits: number): string => (value < 0 ? '-1' : value.toFixed(digits))

/** Models of engines by URL, adapters with what they are adapters of. */
export function modelsByUrl(
  workers: readonly Pick<WorkerView, 'url' | 'models'>[],
  { models }: Pick<Directory, 'models'>,
): (url: string) => Models {
  const parents = new Map(models.map(({ id, parent }) => [id, parent]))
  const named = new Map(workers.map((worker) => [worker.url, worker.models]))
  return (url) =>
    (named.get(url) ?? []).map((id) => {
      const parent = parents.get(id)
      return { id, ...(parent !== undefined && { parent }) }
    })
}
