import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readOrca, type OrcaLoad } from '../../src/engines/orca.ts'

const read: readonly [what: string, header: string, load: OrcaLoad | null][] = [
  [
    'text as vLLM 0.32 writes it',
    'TEXT named_metrics.num_requests_waiting=3.0, named_metrics.kv_cache_usage_perc=0.25',
    { waiting: 3, kvUsage: 0.25 },
  ],
  [
    'text of two ranks, which repeat their names',
    'TEXT named_metrics.num_requests_waiting=3.0, named_metrics.num_requests_waiting=1.0, named_metrics.kv_cache_usage_perc=0.2, named_metrics.kv_cache_usage_perc=0.4',
    { waiting: 4, kvUsage: 0.30000000000000004 },
  ],
  [
    'JSON as vLLM 0.32 writes it',
    'JSON {"named_metrics": {"num_requests_waiting": 0.0, "kv_cache_usage_perc": 1.0}}',
    { waiting: 0, kvUsage: 1 },
  ],
  [
    'JSON of Triton',
    'JSON {"cpu_utilization": 0.5, "named_metrics": {"kv_cache_utilization": 0.5, "max_token_capacity": 1600}}',
    { kvUsage: 0.5, kvCapacityTokens: 1600 },
  ],
  ['text without its name', 'named_metrics.num_requests_running=2', { running: 2 }],
  ['JSON without its name', '{"named_metrics":{"num_requests_running":2}}', { running: 2 }],
  [
    'lower case and other fields',
    'text cpu_utilization=0.3,named_metrics.num_requests_waiting=1',
    { waiting: 1 },
  ],
  ['a usage above one is full', 'TEXT named_metrics.kv_cache_usage_perc=1.5', { kvUsage: 1 }],
  ['binary', 'BIN AAAA', null],
  ['nothing', '', null],
  ['a name alone', 'TEXT', null],
  ['broken JSON', 'JSON {"named_metrics": {', null],
  ['JSON that is no object', 'JSON 3', null],
  ['JSON null', 'JSON null', null],
  ['named metrics that are none', 'JSON {"named_metrics": 7}', null],
  ['text that is none', 'TEXT hello', null],
  ['negative load, which would attract calls', 'TEXT named_metrics.num_requests_waiting=-1', null],
  ['what is no number', 'TEXT named_metrics.num_requests_waiting=nan', null],
  ['an empty value', 'TEXT named_metrics.num_requests_waiting=', null],
  ['infinity', 'JSON {"named_metrics": {"num_requests_waiting": 1e999}}', null],
  ['only what we know nothing of', 'TEXT named_metrics.color=1', null],
  ['too long', `TEXT ${'named_metrics.num_requests_waiting=1, '.repeat(200)}`, null],
]

for (const [what, header, load] of read)
  test(`a load report is read: ${what}`, () => assert.deepEqual(readOrca(header), load))
