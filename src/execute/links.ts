// What is known of engines' acquaintance with each other: who was introduced to whom (DistServe), and what they call themselves.
import type { Core } from '../core.ts'
import { askWorker } from '../discovery/ask.ts'
import { UpstreamFailure, type WorkerRef } from '../host.ts'

const PROTOCOLS = { TCP: 1, RDMA: 2, NVLINK: 3 } as const
const LINK_TYPES = { IB: 1, RoCE: 2 } as const
const ASK_TIMEOUT = 10_000

type Seams = Pick<Core, 'host' | 'config'>
type Side = 'prefill' | 'decode'

interface Link {
  readonly prefill: WorkerRef
  readonly decode: WorkerRef
  readonly made: Promise<void>
}

/** The number that stands for a configured migration protocol on the wire. */
export const protocolNumber = ({ migrationProtocol }: Seams['config']): number => PROTOCOLS[migrationProtocol]

export class Links {
  /** Mooncake's engine ids by worker. */
  readonly engines = new Map<string, string>()
  readonly #links = new Map<string, Link>()

  /**
   * Introduces a prefill and a decode engine to each other, once: asks both what they are, prepares both, connects both
   * (LMDeploy's /distserve protocol). Rejects with an `UpstreamFailure` that names the leg.
   */
  connect(core: Seams, prefill: WorkerRef, decode: WorkerRef): Promise<void> {
    const key = `${prefill.id} ${decode.id}`
    const known = this.#links.get(key)
    if (known) return known.made
    const made = introduce(core, prefill, decode)
    this.#links.set(key, { prefill, decode, made })
    made.catch(() => {
      if (this.#links.get(key)?.made === made) this.#links.delete(key)
    })
    return made
  }

  /** A call with that worker failed: it may have been restarted, and knows nobody then. */
  forget(workerId: string): void {
    this.engines.delete(workerId)
    for (const [key, { prefill, decode }] of this.#links)
      if (prefill.id === workerId || decode.id === workerId) this.#links.delete(key)
  }

  /** A worker was removed: those that it was introduced to may drop the connection. Never rejects. */
  async drop(core: Seams, workerId: string): Promise<void> {
    const links = [...this.#links.values()].filter(
      ({ prefill, decode }) => prefill.id === workerId || decode.id === workerId,
    )
    this.forget(workerId)
    await Promise.all(links.flatMap((link) => dropped(core, link)))
  }
}

function dropped(core: Seams, { prefill, decode }: Link): Promise<unknown>[] {
  const tell = (engine: WorkerRef, other: WorkerRef) =>
    askWorker(core.host, engine, {
      method: 'POST',
      path: '/distserve/p2p_drop_connect',
      body: JSON.stringify({ engine_id: engine.url, remote_engine_id: other.url }),
      timeout: ASK_TIMEOUT,
    })
  return [tell(prefill, decode), tell(decode, prefill)]
}

async function introduce(core: Seams, prefill: WorkerRef, decode: WorkerRef): Promise<void> {
  const ask = asking(core)
  const [prefillConfig, decodeConfig] = await Promise.all([
    ask('prefill', prefill, '/distserve/engine_info'),
    ask('decode', decode, '/distserve/engine_info'),
  ])
  const protocol = protocolNumber(core.config)
  const initialize = (own: WorkerRef, ownConfig: unknown, other: WorkerRef, otherConfig: unknown) => ({
    local_engine_id: own.url,
    local_engine_config: ownConfig,
    remote_engine_id: other.url,
    remote_engine_config: otherConfig,
    protocol,
    rank: null,
    tcp_config: null,
    rdma_config: { with_gdr: core.config.withGdr, link_type: LINK_TYPES[core.config.linkType] },
    nvlink_config: null,
  })
  // One after the other, as LMDeploy's own proxy does: an engine may need its mate to have been told first.
  const prefillMet = await ask(
    'prefill',
    prefill,
    '/distserve/p2p_initialize',
    initialize(prefill, prefillConfig, decode, decodeConfig),
  )
  const decodeMet = await ask(
    'decode',
    decode,
    '/distserve/p2p_initialize',
    initialize(decode, decodeConfig, prefill, prefillConfig),
  )
  const connect = (other: WorkerRef, met: unknown) => {
    const { engine_endpoint_info, kvtransfer_endpoint_info } = met as Record<string, unknown>
    return {
      protocol,
      remote_engine_id: other.url,
      remote_engine_endpoint_info: engine_endpoint_info,
      remote_kvtransfer_endpoint_info: kvtransfer_endpoint_info,
    }
  }
  await ask('prefill', prefill, '/distserve/p2p_connect', connect(decode, decodeMet))
  await ask('decode', decode, '/distserve/p2p_connect', connect(prefill, prefillMet))
}

/** Asks an engine and reads its JSON; what it encoded twice is decoded twice. */
const asking =
  ({ host }: Seams) =>
  async (side: Side, worker: WorkerRef, path: string, body?: unknown): Promise<unknown> => {
    const reply = await askWorker(host, worker, {
      method: body === undefined ? 'GET' : 'POST',
      path,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      timeout: ASK_TIMEOUT,
    })
    const leg = side === 'prefill' ? side : undefined
    if ('reason' in reply) throw new UpstreamFailure('connect', reply.reason, leg)
    const answer = reply.status === 200 ? objectIn(reply.text) : null
    if (answer === null || answer['status'] === 2)
      throw new UpstreamFailure('protocol', `${path} was answered with status ${reply.status}`, leg)
    return answer
  }

function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    const inner: unknown = typeof value === 'string' ? JSON.parse(value) : value
    return typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : null
  } catch {
    // Not one of LMDeploy's answers.
    return null
  }
}
