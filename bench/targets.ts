// What Fetchway is to cost beside others: the targets, and whether the rows of one run hold them.
import type { Column } from './bodies.ts'
import { table } from './setup.ts'
import { median, ratioOfMedians, type Ratio } from './stats.ts'

/** The most that a ratio may be, and where we want it. */
interface Limit {
  readonly most: number
  readonly stretch?: number
}

interface Target {
  readonly title: string
  /** The row that is held against others. */
  readonly row: string
  /** Whom it is compared with: the cheapest of the rows that this names, column by column. */
  readonly others: RegExp
  readonly limits: Readonly<Record<string, Limit>>
}

const limits = (...list: readonly (readonly [most: number, stretch?: number])[]): Target['limits'] =>
  Object.fromEntries(
    list.map(([most, stretch], at) => [
      ['json1', 'json16', 'json128', 'sse0', 'sse5'][at]!,
      stretch === undefined ? { most } : { most, stretch },
    ]),
  )

const RUST = '^(?:sglang-router|vllm-router|smg) '

export const targets: readonly Target[] = [
  {
    title: 'least_cost ÷ cheapest Rust router with cache_aware',
    row: 'fetchway least_cost',
    others: new RegExp(`${RUST}cache_aware$`),
    limits: limits([0.75, 0.65], [0.5, 0.4], [0.5, 0.4], [0.5, 0.4], [1.05, 0.9]),
  },
  {
    title: 'round_robin ÷ cheapest Rust router with round_robin',
    row: 'fetchway round_robin',
    others: new RegExp(`${RUST}round_robin$`),
    limits: limits([1, 0.85], [0.75, 0.65], [0.7, 0.6], [0.5, 0.4], [1.3, 1.1]),
  },
  {
    title: 'least_cost ÷ nginx',
    row: 'fetchway least_cost',
    others: /^nginx$/,
    limits: limits([3.3], [3.3], [1.7], [1.4], [1.4]),
  },
  {
    title: 'round_robin on Bun ÷ cheapest Rust router',
    row: 'fetchway round_robin on bun',
    others: new RegExp(RUST),
    limits: { sse5: { most: 1 } },
  },
]

/** A row of the benchmark in one column. */
export interface Measured {
  readonly router: string
  readonly column: string
  readonly micros: readonly number[]
  /** What was wrong with it: then it does not count. */
  readonly notes: readonly string[]
}

/** What a target comes to in one column. */
export interface Held {
  readonly ratio: Ratio
  readonly against: string
  /** The upper end of the 90 % interval is below it. */
  readonly verdict: 'holds' | 'holds, stretch too' | 'missed'
}

/** Null: nothing to compare, or the row does not count. */
export function hold(target: Target, column: string, rows: readonly Measured[]): Held | null {
  const limit = target.limits[column]
  const here = rows.filter((row) => row.column === column && row.notes.length === 0 && row.micros.length > 0)
  const own = here.find(({ router }) => router === target.row)
  const [cheapest] = here
    .filter(({ router }) => target.others.test(router))
    .toSorted((a, b) => median(a.micros) - median(b.micros))
  if (limit === undefined || own === undefined || cheapest === undefined) return null
  const ratio = ratioOfMedians(own.micros, cheapest.micros)
  const isStretched = limit.stretch !== undefined && ratio.high <= limit.stretch
  const verdict = isStretched ? 'holds, stretch too' : ratio.high <= limit.most ? 'holds' : 'missed'
  return { ratio, against: cheapest.router, verdict }
}

/** Prints the targets of the rows that were measured: ratio of medians, the upper end of its 90 % interval, and whether that is below. */
export function printTargets(columns: readonly Column[], rows: readonly Measured[], rounds: number): void {
  const asked = targets.filter((target) => rows.some(({ router }) => router === target.row))
  if (asked.length === 0) return
  const few = rounds < 9 ? ` (${rounds} rounds: 9 are asked for)` : ''
  console.log(`\nTargets${few}: ratio of medians [upper end of its 90 % interval] of the target (stretch)\n`)
  const cell = (target: Target, { name }: Column): string => {
    const limit = target.limits[name]
    if (limit === undefined) return ''
    const held = hold(target, name, rows)
    const aim = limit.stretch === undefined ? `${limit.most}` : `${limit.most} (${limit.stretch})`
    if (held === null) return `– of ${aim}`
    const mark = { holds: '✓', 'holds, stretch too': '✓✓', missed: '✗' }[held.verdict]
    return `${mark} ${held.ratio.value.toFixed(2)} [${held.ratio.high.toFixed(2)}] of ${aim}`
  }
  table(
    ['', ...columns.map(({ title }) => title)],
    asked.map((target) => [target.title, ...columns.map((column) => cell(target, column))]),
  )
  const left = new Set(rows.filter(({ notes }) => notes.length > 0).map(({ router }) => router))
  if (left.size > 0) console.log(`\nRows that do not count, for what is told below: ${[...left].join(', ')}`)
}
