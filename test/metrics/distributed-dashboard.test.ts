// The dashboard for those who come from Distributed-LLM-Router shows metrics that are there under its names.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Core } from '../../src/core.ts'
import type { PoolView } from '../../src/actors/pool-view.ts'
import { Gauges } from '../../src/dialects/distributed-llm-router/metrics.ts'

const text = readFileSync(
  new URL('../../deploy/grafana/distributed-llm-router.json', import.meta.url),
  'utf8',
)
const { panels } = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] }

test('every metric of the dashboard is one that stands on its page', () => {
  const core = { config: { queueSize: 1 }, host: { now: () => 0 } } as unknown as Core
  const view = { in_flight: 0, queued: 0, workers: [] } as unknown as PoolView
  const shown = new Gauges().read(core, view).map(({ name }) => name)
  const defined = new Set(shown.filter((name) => !name.endsWith('_created')))
  assert.equal(defined.size, 15)
  const words = new Set([
    'histogram_quantile',
    'rate_interval',
    'by',
    'le',
    'status',
    'reason',
    'code',
    'node',
  ])
  const used = panels.flatMap(({ targets }) =>
    targets.flatMap(({ expr }) =>
      [...expr.matchAll(/[a-z]+(?:_[a-z]+)+/g)].map(([name]) => name.replace(/_bucket$/, '')),
    ),
  )
  for (const name of used) assert.ok(defined.has(name) || words.has(name), name)
  for (const name of defined) assert.ok(used.includes(name), `${name} is on no panel`)
})
