// What the demo prints: numbers per worker, and the totals.
import type { Seen } from './demo-load.ts'

/** A table of what clients saw, one row per worker, numbers aligned to the right. */
export function tableOf(
  seen: readonly Seen[],
  workers: readonly { readonly name: string; readonly models: readonly string[] }[],
): string {
  const served = seen.filter((call) => call.failure === null)
  const head = ['worker', 'models', 'requests', 'streams', 'tokens', 'first token', 'share', 'cached']
  const rows = workers.map(({ name, models }) => {
    const calls = served.filter((call) => call.engine === name)
    const prompt = sum(calls, (call) => call.promptTokens)
    const first = calls.flatMap((call) => (call.firstToken === null ? [] : [call.firstToken]))
    return [
      name,
      models.join(' '),
      String(calls.length),
      String(calls.filter((call) => call.isStream).length),
      String(sum(calls, (call) => call.outputTokens)),
      first.length === 0 ? '-' : `${Math.round(first.reduce((a, b) => a + b, 0) / first.length)} ms`,
      percent(calls.length, served.length),
      percent(
        sum(calls, (call) => call.cachedTokens),
        prompt,
      ),
    ]
  })
  return align([head, ...rows])
}

/** One line of totals. */
export function totalsOf(seen: readonly Seen[], retries: number | null): string {
  const first = seen
    .flatMap((call) => (call.firstToken === null ? [] : [call.firstToken]))
    .toSorted((a, b) => a - b)
  const parts = [
    `${seen.length} requests`,
    `${seen.filter((call) => call.isAborted).length} left by their clients`,
    ...(retries === null ? [] : [`${retries} tried again on another worker`]),
    `${seen.filter((call) => call.failure !== null).length} failed`,
    `first token p50 ${quantile(first, 0.5)} ms, p99 ${quantile(first, 0.99)} ms`,
  ]
  return parts.join(' · ')
}

/** The value below which that share of the sorted values lies, rounded; 0 when there are none. */
export function quantile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
  const rule = widths.map((width) => '─'.repeat(width)).join('──')
  return [lines[0], rule, ...lines.slice(1)].map((line) => line?.trimEnd()).join('\n')
}

const sum = (calls: readonly Seen[], of: (call: Seen) => number): number =>
  calls.reduce((total, call) => total + of(call), 0)

const percent = (part: number, whole: number): string =>
  whole === 0 ? '-' : `${Math.round((100 * part) / whole)} %`
