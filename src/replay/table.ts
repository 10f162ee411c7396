// The figures of a replay as a table for people.
import type { Figures } from './figures.ts'

export interface Column {
  readonly heading: string
  readonly show: (figures: Figures) => string
}

export const COLUMNS: readonly Column[] = [
  { heading: 'policy', show: ({ policy }) => policy },
  { heading: 'requests', show: ({ requests }) => String(requests) },
  { heading: 'hits', show: ({ hit_ratio }) => percent(hit_ratio) },
  { heading: 'TTFT mean', show: ({ ttft_mean_s }) => seconds(ttft_mean_s) },
  { heading: 'p50', show: ({ ttft_p50_s }) => seconds(ttft_p50_s) },
  { heading: 'p99', show: ({ ttft_p99_s }) => seconds(ttft_p99_s) },
  { heading: 'TPOT mean', show: ({ tpot_mean_ms }) => `${tpot_mean_ms.toFixed(1)} ms` },
  { heading: 'goodput', show: ({ goodput }) => percent(goodput) },
  { heading: 'busiest', show: ({ load_share_max }) => percent(load_share_max) },
]

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
const seconds = (time: number): string => `${time.toFixed(3)} s`

/** Lines of the table, the first one its heading; names to the left, numbers to the right. */
export function tableOf(all: readonly Figures[]): string[] {
  const rows = [
    COLUMNS.map(({ heading }) => heading),
    ...all.map((one) => COLUMNS.map(({ show }) => show(one))),
  ]
  const widths = COLUMNS.map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] as string).length)),
  )
  return rows.map((cells) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
      )
      .join('  '),
  )
}
