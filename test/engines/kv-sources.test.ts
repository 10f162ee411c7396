import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configSchema, workerSchema } from '../../src/config/schema.ts'
import type { EngineFacts } from '../../src/engines/engine.ts'
import { kvSourcesOf } from '../../src/engines/kv-sources.ts'

const facts = (engine: EngineFacts['engine'], kvEvents: unknown, dpSize = 1): EngineFacts => ({
  engine,
  models: [],
  kvEvents,
  dpSize,
})
const at = (rank: number, endpoint: string, replay: string | null = null, topic = '') => ({
  rank,
  endpoint,
  isBound: false,
  replay,
  topic,
})
const vllm = (endpoint: string, replay: string | null = null) => [
  { data_parallel_rank: 0, endpoint, replay_endpoint: replay, topic: 'kv' },
]

describe('where KV events are', () => {
  const worker = 'http://gpu1:8000'
  for (const [what, spec, told, expected] of [
    [
      'vLLM tells a list of ranks, with every address as the one that it is reached by',
      { url: worker },
      facts('vllm', [
        { data_parallel_rank: 1, endpoint: 'tcp://*:5558', replay_endpoint: null, topic: '' },
        ...vllm('tcp://0.0.0.0:5557', 'tcp://0.0.0.0:6557'),
      ]),
      [at(1, 'tcp://gpu1:5558'), at(0, 'tcp://gpu1:5557', 'tcp://gpu1:6557', 'kv')],
    ],
    [
      'each rank has its own of a list that is configured',
      {
        url: worker,
        kvEvents: 'tcp://*:5557, tcp://gpu2:7000',
        kvEventsReplay: 'tcp://*:6557,tcp://gpu2:8000',
      },
      null,
      [at(0, 'tcp://gpu1:5557', 'tcp://gpu1:6557'), at(1, 'tcp://gpu2:7000', 'tcp://gpu2:8000')],
    ],
    [
      'some versions of vLLM tell it under a name',
      { url: worker },
      facts('vllm', { sources: vllm('tcp://10.0.0.7:5557') }),
      [at(0, 'tcp://10.0.0.7:5557', null, 'kv')],
    ],
    [
      'SGLang tells a port that its ranks count from',
      { url: 'http://[2001:db8::1]:30000' },
      facts('sglang', {
        publisher: 'zmq',
        endpoint_host: '*',
        endpoint_port_base: 5557,
        replay_endpoint_port_base: 6557,
        topic: '',
        dp_size: 2,
      }),
      [
        at(0, 'tcp://[2001:db8::1]:5557', 'tcp://[2001:db8::1]:6557'),
        at(1, 'tcp://[2001:db8::1]:5558', 'tcp://[2001:db8::1]:6558'),
      ],
    ],
    [
      'what is configured comes before what is told, for each rank',
      { url: worker, kvEvents: 'tcp://*:7000', kvEventsReplay: 'tcp://*:7100' },
      facts('vllm', vllm('tcp://*:5557'), 2),
      [at(0, 'tcp://gpu1:7000', 'tcp://gpu1:7100'), at(1, 'tcp://gpu1:7001', 'tcp://gpu1:7101')],
    ],
    [
      'an engine may connect to us',
      { url: worker, kvEvents: '@tcp://*:7000' },
      facts('vllm', null),
      [{ ...at(0, 'tcp://*:7000'), isBound: true }],
    ],
    [
      'a replay may be left alone',
      { url: worker, kvEventsReplay: 'off' },
      facts('vllm', vllm('tcp://*:5557', 'tcp://*:6557')),
      [at(0, 'tcp://gpu1:5557', null, 'kv')],
    ],
    ['off is off', { url: worker, kvEvents: 'off' }, facts('vllm', vllm('tcp://*:5557')), []],
    ['what is pushed is not followed', { url: worker, kvEvents: 'push' }, facts('vllm', null), []],
    ['nobody publishes', { url: worker }, facts('vllm', undefined), []],
    ['a worker that was not asked tells nothing', { url: worker }, null, []],
    ['pipes of its own machine', { url: worker }, facts('vllm', vllm('ipc:///tmp/kv')), []],
    ['a worker without an address', { url: 'unix:/run/e.sock' }, facts('vllm', vllm('tcp://*:5557')), []],
    ['what makes no sense', { url: worker }, facts('sglang', { endpoint_port_base: 'many' }), []],
  ] as const)
    it(what, () => {
      assert.deepEqual(kvSourcesOf(workerSchema.parse(spec), told as EngineFacts | null), expected)
    })

  for (const kvEvents of ['5557', 'tcp://gpu1', 'http://gpu1:5557', 'tcp://gpu1:99999'])
    it(`${kvEvents} is refused, and what to write is said`, () => {
      const { error } = configSchema.safeParse({ workers: [{ url: worker, kvEvents }] })
      assert.match(JSON.stringify(error?.issues), /is no tcp:\/\/HOST:PORT/)
    })
})
