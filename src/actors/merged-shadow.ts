// One report of a shadow policy out of the reports of a pool's shards.
import type { ShadowView, SideView } from './shadow.ts'

/** Null where no shard has a shadow policy. */
export function mergeShadows(reports: readonly (ShadowView | null)[]): ShadowView | null {
  const views = reports.filter((report) => report !== null)
  const [first] = views
  if (first === undefined) return null
  const sum = (of: (view: ShadowView) => number) => views.reduce((total, view) => total + of(view), 0)
  return {
    ...first,
    since: views.map(({ since }) => since).toSorted()[0]!,
    decisions: sum((view) => view.decisions),
    agreed: sum((view) => view.agreed),
    prompt_tokens: sum((view) => view.prompt_tokens),
    first: mergeSides(views.map((view) => view.first)),
    shadow: mergeSides(views.map((view) => view.shadow)),
  }
}

function mergeSides(sides: readonly SideView[]): SideView {
  const [first] = sides as readonly [SideView]
  const sums = new Map<string, { calls: number; prompt: number; cached: number }>()
  for (const one of sides.flatMap(({ workers }) => workers)) {
    const { calls, prompt, cached } = sums.get(one.worker) ?? { calls: 0, prompt: 0, cached: 0 }
    sums.set(one.worker, {
      calls: calls + one.calls,
      prompt: prompt + one.prompt_tokens,
      cached: cached + one.predicted_cached_tokens,
    })
  }
  const all = { calls: 0, prompt: 0, cached: 0 }
  for (const { calls, prompt, cached } of sums.values()) {
    all.calls += calls
    all.prompt += prompt
    all.cached += cached
  }
  const workers = [...sums].map(([worker, { calls, prompt, cached }]) => ({
    worker,
    calls,
    call_share: ratio(calls, all.calls),
    prompt_tokens: prompt,
    predicted_cached_tokens: cached,
    load_share: ratio(prompt - cached, all.prompt - all.cached),
  }))
  return {
    ...first,
    predicted_cached_tokens: all.cached,
    predicted_hit_ratio: ratio(all.cached, all.prompt),
    load_share_max: Math.max(0, ...workers.map((worker) => worker.load_share)),
    workers,
  }
}

const ratio = (part: number, whole: number): number =>
  whole > 0 ? Math.round((1e4 * part) / whole) / 1e4 : 0
