// Metrics as plain data: read from a meter, written as Prometheus text.

/**
 * How a metric is made from those of several meters of one router: added up, the largest, or that of the first alone
 * (what every meter reads from the same place).
 */
export type Gather = 'sum' | 'max' | 'first'

export interface SeriesReading {
  /** Label values in the order of the metric's labels. */
  readonly values: readonly string[]
  /**
   * A counter's or gauge's value; of a summary its count and its sum; of a histogram the count of each bucket (not cumulative, the last
   * is `+Inf`), then the sum.
   */
  readonly numbers: readonly number[]
}

export interface FamilyReading {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly labels: readonly string[]
  readonly gather: Gather
  /** Upper bounds of a histogram's buckets without `+Inf`; else empty. */
  readonly bounds: readonly number[]
  readonly series: readonly SeriesReading[]
}

/** All metrics of one meter at one moment; structured-cloneable. */
export type Reading = readonly FamilyReading[]

/** How a number is written: a value, a sum, or the bound of a bucket. */
export type FormatNumber = (value: number) => string

/** The text format 0.0.4, ending in a newline. */
export function expose(reading: Reading, format: FormatNumber = formatNumber): string {
  const lines: string[] = []
  for (const family of reading) {
    const { name, help, type, series } = family
    lines.push(
      `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`,
      `# TYPE ${name} ${type}`,
    )
    for (const one of series) exposeSeries(family, one, { lines, format })
  }
  lines.push('')
  return lines.join('\n')
}

function exposeSeries(
  family: FamilyReading,
  { values, numbers }: SeriesReading,
  { lines, format }: { lines: string[]; format: FormatNumber },
): void {
  const { name, type, labels, bounds } = family
  const pairs = labels.map((label, index) => `${label}="${escapeValue(values[index] ?? '')}"`).join(',')
  const after = pairs === '' ? '' : `{${pairs}}`
  if (type === 'summary') {
    // Without quantiles, which cannot be added up over several meters.
    lines.push(
      `${name}_sum${after} ${format(numbers[1] ?? 0)}`,
      `${name}_count${after} ${format(numbers[0] ?? 0)}`,
    )
    return
  }
  if (type !== 'histogram') {
    lines.push(`${name}${after} ${format(numbers[0] ?? 0)}`)
    return
  }
  const before = pairs === '' ? '' : `${pairs},`
  let total = 0
  for (let index = 0; index <= bounds.length; index++) {
    total += numbers[index] ?? 0
    lines.push(`${name}_bucket{${before}le="${format(bounds[index] ?? Infinity)}"} ${format(total)}`)
  }
  lines.push(
    `${name}_sum${after} ${format(numbers[bounds.length + 1] ?? 0)}`,
    `${name}_count${after} ${format(total)}`,
  )
}

/** A number as the text format wants it: `+Inf`, `-Inf`, `NaN`, else the shortest decimal. */
function formatNumber(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return String(value)
}

function escapeValue(value: string): string {
  return value.replace(/["\\\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
}
