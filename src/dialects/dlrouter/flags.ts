// DLRouter's flags: the common ones, and those of the backend that the command line names.
import { readArguments } from '../argparse.ts'
import type { DialectFlag } from '../flag.ts'

export const BACKENDS = ['lmdeploy', 'vllm', 'sglang', 'dlengine'] as const
export const STRATEGIES = [
  'round_robin',
  'random',
  'consistent_hash',
  'min_expected_latency',
  'min_observed_latency',
  'prefix_cache',
] as const

const common: readonly DialectFlag[] = [
  { names: ['--server_name'], initial: '0.0.0.0', about: 'address to listen on' },
  { names: ['--server_port'], kind: 'integer', initial: 8000, about: 'port to listen on' },
  {
    names: ['--backend'],
    choices: BACKENDS,
    initial: 'lmdeploy',
    about: 'whose servers get prefill and decode calls; all serve in hybrid mode',
  },
  {
    names: ['--routing_strategy'],
    choices: STRATEGIES,
    initial: 'min_expected_latency',
    about: 'how a node is chosen',
  },
  {
    names: ['--serving_strategy'],
    choices: ['hybrid', 'distserve'],
    initial: 'hybrid',
    about: 'each node does all, or prefill and decode nodes work in pairs',
  },
  { names: ['--api_keys'], about: 'tokens that clients must send, commas between' },
  { names: ['--ssl'], kind: 'switch', initial: false, about: 'serve HTTPS by SSL_KEYFILE and SSL_CERTFILE' },
  { names: ['--log_level'], initial: 'INFO', about: 'least level that is logged' },
  {
    names: ['--disable_cache_status'],
    kind: 'switch',
    initial: false,
    about: 'neither read nor write the file of nodes',
  },
  { names: ['--config_path'], about: 'file of nodes; none: .fetchway/router_config.json' },
  {
    names: ['--workers'],
    kind: 'integer',
    initial: 1,
    about: 'processes that serve; here threads with one state',
  },
]

const lists: readonly DialectFlag[] = [
  { names: ['--prefill_urls'], about: 'prefill nodes, commas between' },
  { names: ['--decode_urls'], about: 'decode nodes, commas between' },
  { names: ['--models'], about: 'models of the nodes, commas between; none: they are asked' },
]

const beats: readonly DialectFlag[] = [
  { names: ['--zmq_host'], initial: '0.0.0.0', about: 'address where nodes announce themselves' },
  { names: ['--zmq_port'], kind: 'integer', initial: 30001, about: 'port where nodes announce themselves' },
  {
    names: ['--zmq_ping_timeout'],
    kind: 'integer',
    initial: 5,
    about: 'silence after which a node that announced itself is gone, s',
  },
]

const backends: Readonly<Record<string, readonly DialectFlag[]>> = {
  lmdeploy: [
    { names: ['--migration_protocol'], initial: 'RDMA', about: 'how KV migrates: TCP, RDMA, NVLINK' },
    { names: ['--link_type'], choices: ['RoCE', 'IB'], initial: 'RoCE', about: 'the link under RDMA' },
    { names: ['--with_gdr'], kind: 'switch', initial: true, about: 'RDMA straight between GPUs' },
    { names: ['--no_with_gdr'], kind: 'denial', dest: 'with_gdr', about: 'not so' },
    { names: ['--dummy_prefill'], kind: 'switch', initial: false, about: 'no prefill at all, for tests' },
  ],
  vllm: [
    ...beats,
    ...lists,
    {
      names: ['--intra_node_data_parallel_size'],
      kind: 'integer',
      initial: 1,
      about: 'data-parallel ranks behind each URL',
    },
  ],
  // There its nodes are named; here they may announce themselves as well.
  sglang: [
    ...beats,
    ...lists,
    {
      names: ['--prefill_bootstrap_ports'],
      about: 'bootstrap ports of the prefill nodes, commas between [8998 each]',
    },
  ],
  dlengine: [
    { names: ['--ctrl_address'], about: 'where nodes are listed' },
    { names: ['--ctrl_scope'], about: 'tenant' },
    { names: ['--ctrl_kind'], initial: 'dlengine', about: 'kind of entity' },
    { names: ['--discovery_poll_interval'], kind: 'number', initial: 5, about: 'time between questions, s' },
  ],
}

/** The backend that a command line names, before its flags are known. */
export function backendOf(argv: readonly string[]): string {
  const all = [...common, ...Object.values(backends).flat()]
  const named = readArguments(argv, uniqueOf(all)).given.get('backend')?.value
  return typeof named === 'string' && Object.hasOwn(backends, named) ? named : 'lmdeploy'
}

/** All flags under a command line's backend. */
export const flagsFor = (argv: readonly string[]): readonly DialectFlag[] => [
  ...common,
  ...(backends[backendOf(argv)] ?? []),
]

function uniqueOf(flags: readonly DialectFlag[]): DialectFlag[] {
  return [...new Map(flags.map((flag) => [flag.names[0], flag])).values()]
}
