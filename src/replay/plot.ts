// Small plots as SVG text: lines over an axis, and grouped bars. Nothing is loaded from anywhere.

const WIDTH = 720
const HEIGHT = 340
const LEFT = 56
const RIGHT = 16
const TOP = 34
const BOTTOM = 66
/** Colours that people with colour blindness can tell apart (Okabe & Ito 2008). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999']

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Axis {
  readonly label: string
  readonly from: number
  readonly to: number
  readonly isLog?: boolean
}

export interface LinePlot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

export interface BarPlot {
  readonly title: string
  readonly x: string
  readonly y: Axis
  /** Under each group of bars. */
  readonly groups: readonly string[]
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[]
}

/** Text that can stand in HTML and SVG, also inside of quotes. */
export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** Of the series with that number, here and in each legend. */
export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] as string
}

/** An SVG element with one line for each series. */
export function linePlot({ title, x, y, series }: LinePlot): string {
  const toX = scale(x, LEFT, WIDTH - RIGHT)
  const toY = scale(y, HEIGHT - BOTTOM, TOP)
  const lines = series.map(({ name, points }, i) => {
    const path = points.map(([px, py], at) => `${at === 0 ? 'M' : 'L'}${short(toX(px))} ${short(toY(py))}`)
    return `<path d="${path.join('')}" fill="none" stroke="${colourOf(i)}" stroke-width="1.6"><title>${escape(name)}</title></path>`
  })
  return frame(title, [...xAxis(x, toX), ...yAxis(y, toY), ...lines, ...legend(series)])
}

/** An SVG element with a bar for each value, side by side in groups. */
export function barPlot({ title, x, y, groups, series }: BarPlot): string {
  const toY = scale(y, HEIGHT - BOTTOM, TOP)
  const room = (WIDTH - LEFT - RIGHT) / Math.max(1, groups.length)
  const width = (room * 0.8) / Math.max(1, series.length)
  const bars = series.flatMap(({ name, values }, i) =>
    values.map((value, group) => {
      const left = LEFT + room * (group + 0.1) + width * i
      const top = toY(value)
      return `<rect x="${short(left)}" y="${short(top)}" width="${short(width)}" height="${short(HEIGHT - BOTTOM - top)}" fill="${colourOf(i)}"><title>${escape(`${name}, ${groups[group] ?? ''}: ${value.toFixed(3)}`)}</title></rect>`
    }),
  )
  const names = groups.map((group, i) => text(group, LEFT + room * (i + 0.5), HEIGHT - BOTTOM + 16, 'middle'))
  const under = text(x, WIDTH / 2, HEIGHT - BOTTOM + 34, 'middle')
  return frame(title, [...yAxis(y, toY), ...bars, ...names, under, ...legend(series)])
}

function frame(title: string, parts: readonly string[]): string {
  const head = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(title)}" xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">`
  return [head, text(title, LEFT, 18, 'start'), ...parts, '</svg>'].join('\n')
}

/** The names in their colours, side by side below the plot. */
function legend(series: readonly { readonly name: string }[]): string[] {
  const room = (WIDTH - LEFT - RIGHT) / Math.max(4, series.length)
  return series.map(({ name }, i) => {
    const left = LEFT + room * i
    const key = `<rect x="${short(left)}" y="${HEIGHT - 18}" width="10" height="10" fill="${colourOf(i)}"/>`
    return key + text(name, left + 15, HEIGHT - 9, 'start')
  })
}

function xAxis(axis: Axis, toX: (x: number) => number): string[] {
  const marks = ticks(axis).map((tick) => {
    const at = short(toX(tick))
    return `<line x1="${at}" x2="${at}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="#e3e3e3"/>${text(label(tick), toX(tick), HEIGHT - BOTTOM + 16, 'middle')}`
  })
  return [...marks, text(axis.label, WIDTH / 2, HEIGHT - BOTTOM + 34, 'middle')]
}

function yAxis(axis: Axis, toY: (y: number) => number): string[] {
  const marks = ticks(axis).map((tick) => {
    const at = short(toY(tick))
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#e3e3e3"/>${text(label(tick), LEFT - 6, toY(tick) + 4, 'end')}`
  })
  return [...marks, text(axis.label, WIDTH - RIGHT, 18, 'end')]
}

function text(what: string, x: number, y: number, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${short(x)}" y="${short(y)}" text-anchor="${anchor}">${escape(what)}</text>`
}

function scale({ from, to, isLog }: Axis, start: number, end: number): (value: number) => number {
  const of = (value: number) => (isLog ? Math.log(Math.max(from, value)) : value)
  const span = of(to) - of(from) || 1
  return (value) => start + ((Math.min(of(to), of(value)) - of(from)) / span) * (end - start)
}

/** Round values inside of an axis: powers of ten where it is logarithmic, else four to eight of 1, 2 or 5 times such. */
function ticks({ from, to, isLog }: Axis): number[] {
  if (isLog) {
    const first = Math.ceil(Math.log10(from) - 1e-9)
    const count = Math.floor(Math.log10(to) + 1e-9) - first + 1
    return Array.from({ length: Math.max(0, count) }, (_, i) => 10 ** (first + i))
  }
  const rough = (to - from) / 5
  if (!(rough > 0)) return [from]
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) as number)
  const first = Math.ceil(from / step)
  return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step)
}

const label = (value: number): string => String(Number(value.toPrecision(6)))

/** Enough digits for a screen. */
const short = (value: number): string => String(Math.round(value * 10) / 10)
