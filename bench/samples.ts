// Reads figures out of what routers tell at /metrics.

/** Adds up the samples of one metric in Prometheus text; NaN when it is not there. */
export function sumOf(text: string, metric: string): number {
  const samples = text
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
  if (samples.length === 0) return Number.NaN
  return samples.reduce(
    (sum, line) =>
      sum +
      Number(
        line
          .slice(line.lastIndexOf('}') + 1)
          .trim()
          .split(/\s+/)
          .at(line.includes('}') ? 0 : 1),
      ),
    0,
  )
}
