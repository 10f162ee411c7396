import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import parsePrometheus from 'parse-prometheus-text-format'
import { showProcess } from '../../src/metrics/process-readings.ts'
import { createInstruments } from '../../src/metrics/instruments.ts'
import { createMeter } from '../../src/metrics/prometheus.ts'

interface Target {
  expr: string
  legendFormat?: string
}
interface Panel {
  id: number
  title: string
  type: string
  targets?: Target[]
  gridPos: { x: number; y: number; w: number; h: number }
}

const text = readFileSync(new URL('../../deploy/grafana/fetchway.json', import.meta.url), 'utf8')
const dashboard = JSON.parse(text) as {
  panels: Panel[]
  templating: { list: { name: string; definition?: string }[] }
}
const expressions = dashboard.panels.flatMap((panel) => (panel.targets ?? []).map((target) => target.expr))

/** Metric names with their labels, as `instruments.ts` defines them. */
function defined(): Map<string, string> {
  const meter = createMeter()
  const one = () => 1
  createInstruments(meter, {
    showProcess: () => showProcess(meter, { residentBytes: one, cpuSeconds: one, loopLagSeconds: one }),
  })
  return new Map(parsePrometheus(meter.render()).map((metric) => [metric.name, metric.type]))
}

function namesIn(expression: string): string[] {
  return expression.match(/\b(?:fetchway|process)_\w+/g) ?? []
}

test('every metric of the dashboard is one that the router has', () => {
  const metrics = defined()
  const used = [...expressions, ...dashboard.templating.list.map((one) => one.definition ?? '')].flatMap(
    namesIn,
  )
  assert.ok(used.length > 30)
  for (const name of used) {
    const isBucket = name.endsWith('_bucket') && metrics.get(name.slice(0, -'_bucket'.length)) === 'HISTOGRAM'
    assert.ok(metrics.has(name) || isBucket, name)
  }
})

test('counters and buckets are shown as rates, gauges are not', () => {
  const metrics = defined()
  for (const expression of expressions) {
    for (const name of namesIn(expression)) {
      const grows = name.endsWith('_bucket') || metrics.get(name) === 'COUNTER'
      const isRate = new RegExp(`(rate|increase)\\(${name}\\b`).test(expression)
      assert.equal(isRate, grows, expression)
    }
  }
})

test('brackets are balanced and every variable exists', () => {
  const variables = new Set([...dashboard.templating.list.map((one) => one.name), '__rate_interval'])
  for (const expression of expressions) {
    for (const [open, close] of ['()', '{}', '[]']) {
      assert.equal(
        expression.split(open as string).length,
        expression.split(close as string).length,
        expression,
      )
    }
    for (const [, name] of expression.matchAll(/\$(\w+)/g))
      assert.ok(variables.has(name as string), expression)
  }
})

test('panels have ids of their own and do not lie on each other', () => {
  const panels = dashboard.panels
  assert.equal(new Set(panels.map((panel) => panel.id)).size, panels.length)
  for (const [index, { gridPos: a, title }] of panels.entries()) {
    assert.ok(a.x + a.w <= 24, title)
    for (const { gridPos: b } of panels.slice(index + 1)) {
      const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y
      assert.ok(apart, title)
    }
  }
})
