// The flags of LMDeploy's proxy (`lmdeploy serve proxy`).
import type { DialectFlag } from '../flag.ts'

export const flags: readonly DialectFlag[] = [
  { names: ['--server-name'], initial: '0.0.0.0', about: 'address to listen on' },
  { names: ['--server-port'], kind: 'integer', initial: 8000, about: 'port to listen on' },
  {
    names: ['--serving-strategy'],
    choices: ['Hybrid', 'DistServe'],
    initial: 'Hybrid',
    about: 'each node does all, or prefill and decode nodes work in pairs',
  },
  {
    names: ['--routing-strategy'],
    choices: ['random', 'min_expected_latency', 'min_observed_latency'],
    initial: 'min_expected_latency',
    about: 'how a node is chosen',
  },
  { names: ['--dummy-prefill'], kind: 'switch', initial: false, about: 'no prefill at all, for tests' },
  {
    names: ['--migration-protocol'],
    choices: ['RDMA', 'NVLINK', 'TCP'],
    initial: 'RDMA',
    about: 'how KV migrates',
  },
  { names: ['--link-type'], choices: ['RoCE', 'IB'], initial: 'RoCE', about: 'the link under RDMA' },
  {
    names: ['--disable-gdr'],
    kind: 'denial',
    dest: 'gdr',
    initial: true,
    about: 'no RDMA straight between GPUs',
  },
  {
    names: ['--disable-cache-status'],
    kind: 'switch',
    initial: false,
    about: 'neither read nor write the file of nodes (.fetchway/proxy_config.json)',
  },
  { names: ['--config-path'], about: 'file of nodes in place of that' },
  { names: ['--api-keys'], takes: '*', initial: [], about: 'tokens that clients must send' },
  { names: ['--ssl'], kind: 'switch', initial: false, about: 'serve HTTPS by SSL_KEYFILE and SSL_CERTFILE' },
  { names: ['--log-level'], initial: 'INFO', about: 'least level that is logged' },
]
