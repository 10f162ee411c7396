// A replay as one HTML page that needs nothing else: the figures, and plots of what is behind them.
import { firstTokens, loadShares, type Figures } from './figures.ts'
import { barPlot, colourOf, escape, linePlot, type Series } from './plot.ts'
import type { Replayed } from './replay.ts'
import { COLUMNS } from './table.ts'

/** Points of a distribution's curve, and stretches of time that hit ratios are taken over. */
const POINTS = 240
const STRETCHES = 60

export interface ReportFacts {
  readonly trace: string
  /** What was replayed, in the order of its flags. */
  readonly settings: readonly (readonly [string, string])[]
}

/** The page as text. The plots show the first seed. */
export function reportOf(replays: readonly Replayed[], { trace, settings }: ReportFacts): string {
  const plots = [firstTokenPlot(replays), hitPlot(replays), sharePlot(replays)]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Replay of ${escape(trace)}</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .25em .6em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
svg { width: 100%; height: auto; margin-top: 1.5em }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .4em }
</style>
<h1>Replay of ${escape(trace)}</h1>
<p>${settings.map(([name, value]) => `${escape(name)} ${escape(value)}`).join(' · ')}</p>
<table>
<tr>${COLUMNS.map(({ heading }) => `<th>${escape(heading)}</th>`).join('')}</tr>
${replays.map(({ figures }, i) => row(figures, colourOf(i))).join('\n')}
</table>
<p>The first 10 % of the requests fill the caches and are left out of all figures but the load share. Goodput: the share of requests with a first token within 2 s and at most 100 ms for each further one.</p>
${plots.join('\n')}
</html>
`
}

function row(figures: Figures, colour: string): string {
  const cells = COLUMNS.map(({ show }) => escape(show(figures)))
  const key = `<span class="key" style="background:${colour}"></span>`
  return `<tr>${cells.map((cell, i) => `<td>${i === 0 ? key : ''}${cell}</td>`).join('')}</tr>`
}

function firstTokenPlot(replays: readonly Replayed[]): string {
  const all = replays.map(({ figures, run }) => ({ name: figures.policy, sorted: firstTokens(run) }))
  const series = all.map(({ name, sorted }): Series => {
    const count = Math.min(POINTS, sorted.length)
    const at = (i: number) => Math.round((i * (sorted.length - 1)) / Math.max(1, count - 1))
    return {
      name,
      points: Array.from({ length: count }, (_, i) => [sorted[at(i)] as number, (at(i) + 1) / sorted.length]),
    }
  })
  const longest = Math.max(0.1, ...all.map(({ sorted }) => sorted.at(-1) ?? 0))
  return linePlot({
    title: 'Time to the first token',
    x: { label: 'seconds', from: 0.01, to: longest, isLog: true },
    y: { label: 'share of requests that had it by then', from: 0, to: 1 },
    series,
  })
}

function hitPlot(replays: readonly Replayed[]): string {
  const end = Math.max(1e-9, ...replays.map(({ run }) => run.arrivals.at(-1)?.arrival ?? 0))
  const series = replays.map(({ figures, run }) => ({ name: figures.policy, points: hitsOver(run, end) }))
  const highest = Math.max(0.1, ...series.flatMap(({ points }) => points.map(([, ratio]) => ratio)))
  return linePlot({
    title: 'Prompt tokens found in a cache',
    x: { label: 'seconds since the beginning', from: 0, to: end },
    y: { label: 'share', from: 0, to: Math.min(1, highest * 1.1) },
    series,
  })
}

/** The hit ratio of each stretch of time that has requests, at its middle. */
function hitsOver({ arrivals, first, cached }: Replayed['run'], end: number): (readonly [number, number])[] {
  const hits = new Float64Array(STRETCHES)
  const prompts = new Float64Array(STRETCHES)
  for (const { arrival, index, input } of arrivals) {
    if (Number.isNaN(first[index])) continue
    const stretch = Math.min(STRETCHES - 1, Math.floor((arrival / end) * STRETCHES))
    hits[stretch] = (hits[stretch] as number) + (cached[index] as number)
    prompts[stretch] = (prompts[stretch] as number) + input
  }
  return [...prompts].flatMap((tokens, i) =>
    tokens > 0 ? [[((i + 0.5) * end) / STRETCHES, (hits[i] as number) / tokens] as const] : [],
  )
}

function sharePlot(replays: readonly Replayed[]): string {
  const series = replays.map(({ figures, run }) => ({ name: figures.policy, values: loadShares(run) }))
  const count = Math.max(...series.map(({ values }) => values.length))
  return barPlot({
    title: 'Requests by worker',
    x: 'worker',
    y: {
      label: 'share of all requests',
      from: 0,
      to: Math.max(...series.flatMap(({ values }) => values)) * 1.1,
    },
    groups: Array.from({ length: count }, (_, i) => String(i)),
    series,
  })
}
