// The nodes that DLRouter's flags name, and how prefill and decode nodes hand over.
import type { Values } from '../gateway/translate.ts'

type Setting = readonly [key: string, value: unknown, flag: string]

export interface NamedFleet {
  readonly config: readonly Setting[]
  readonly problems: readonly string[]
}

const listOf = (value: unknown): string[] | null =>
  typeof value === 'string'
    ? value
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '')
    : null

/** Exactly one of the two lists is an error, in hybrid mode too, as there. */
export function fleetOf(values: Values, backend: string): NamedFleet {
  const [prefill, decode] = [listOf(values['prefill_urls']), listOf(values['decode_urls'])]
  const problems: string[] = []
  if ((prefill === null) !== (decode === null))
    problems.push('Both prefill_urls and decode_urls must be given, or neither')
  const isPaired = values['serving_strategy'] === 'distserve'
  const ports = portsOf(values['prefill_bootstrap_ports'], prefill ?? [], problems)
  if (values['zmq_port'] === 0) problems.push('zmq_port cannot be 0')
  const ranks = Number(values['intra_node_data_parallel_size'] ?? 1)
  if (ranks < 1) problems.push('intra_node_data_parallel_size must be at least 1')
  const models = listOf(values['models'])
  const common = {
    ...(models && { models: [...models] }),
    ...(ranks > 1 && { ranks }),
    ...(isPaired && { engine: backend }),
  }
  const isStatic = isPaired && prefill !== null && decode !== null
  const workers = isStatic
    ? [
        ...prefill.map((url, i) => {
          const port = ports[i]
          return { url, role: 'prefill', ...common, ...(port !== undefined && { bootstrapPort: port }) }
        }),
        ...decode.map((url) => ({ url, role: 'decode', ...common })),
      ]
    : []
  return {
    config: [
      ...(isStatic ? [['workers', workers, 'prefill_urls'] as const] : []),
      // A role that has nobody is a refusal there.
      ...(isPaired ? [['pdStandIn', false, 'serving_strategy'] as const] : []),
      ...(isPaired && !isStatic ? heartbeatOf(values, models) : []),
      ...handOver(values, { backend, isPaired }),
    ],
    problems,
  }
}

function portsOf(value: unknown, prefill: readonly string[], problems: string[]): readonly number[] {
  const ports = (listOf(value) ?? []).map(Number)
  if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65535)) {
    problems.push('prefill_bootstrap_ports must be port numbers')
    return []
  }
  if (ports.length > 0 && ports.length !== prefill.length)
    problems.push(
      `prefill_bootstrap_ports must be as many as prefill_urls: ${ports.length} for ${prefill.length}`,
    )
  return ports
}

/** How KV goes from one to the other. */
function handOver(
  values: Values,
  { backend, isPaired }: { readonly backend: string; readonly isPaired: boolean },
): Setting[] {
  // Its requests carry the words of both connectors.
  if (backend === 'vllm') return isPaired ? [['pdProtocol', 'nixl_p2p', 'serving_strategy']] : []
  if (backend === 'sglang') return isPaired ? [['pdProtocol', 'sglang', 'serving_strategy']] : []
  if (backend !== 'lmdeploy') return []
  const protocol = String(values['migration_protocol'] as string).toUpperCase()
  return [
    ['migrationProtocol', protocol, 'migration_protocol'],
    ['linkType', values['link_type'], 'link_type'],
    ['withGdr', values['with_gdr'], 'with_gdr'],
    ['dummyPrefill', values['dummy_prefill'], 'dummy_prefill'],
    ...(isPaired ? [['pdProtocol', 'distserve', 'serving_strategy'] as const] : []),
  ]
}

/** Where nodes announce themselves; LMDeploy's are added over HTTP. */
function heartbeatOf(values: Values, models: readonly string[] | null): Setting[] {
  if (values['zmq_port'] === undefined) return []
  const host = String(values['zmq_host'] as string)
  const listen = `tcp://${host.includes(':') ? `[${host}]` : host}:${String(values['zmq_port'] as number)}`
  return [
    ['heartbeatListen', listen, 'zmq_port'],
    ['heartbeatTimeout', `${String(values['zmq_ping_timeout'] as number)}s`, 'zmq_ping_timeout'],
    ...(models ? [['heartbeatModels', models, 'models'] as const] : []),
  ]
}
