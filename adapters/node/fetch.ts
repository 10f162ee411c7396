// Host.fetch on Node: HTTP/1.1 over our own connections.
// The global of that name is a getter, which is called each time.
import { performance } from 'node:perf_hooks'
import { UpstreamFailure } from '../../src/host.ts'
import type { Outgoing, WorkerRef } from '../../src/host.ts'
import type { Waiter } from '../../src/soon.ts'
import { NodeUpstream } from './upstream.ts'
import { Workbench } from './wire/workbench.ts'
import type { Connection } from './wire/connection.ts'
import { abortFailure, Origin, targetOf, type Certificates } from './wire/origin.ts'

export interface NodeFetch {
  (worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream>
  /** `Host.send`: most calls need no promise. */
  send(worker: WorkerRef, outgoing: Outgoing, waiter: Waiter<NodeUpstream>): void
  /** Closes all connections to workers. */
  close(): void
}

/** A kept connection that had been closed already tells so within a round trip; one that breaks later broke at work. Milliseconds. */
const STALE = 1000
/** No engine closes a kept connection sooner than this: one that breaks in younger idleness broke at work. Milliseconds. */
const RESTED = 1000

/** How long connections are kept unless it is configured: uvicorn closes them after 5 s. Milliseconds. */
const IDLE_MOST = 4000

/**
 * Makes `Host.fetch` and `Host.send`. Connections are kept per worker URL and used again for up to `idleMost` ms, or less as the
 * worker's Keep-Alive header tells. One that had been idle for `rested` ms and turns out closed before any byte of an answer
 * is replaced once, silently; what must be sent once goes over a new one.
 */
export function createFetch(rested = RESTED, certificates?: Certificates, idleMost = IDLE_MOST): NodeFetch {
  const sender = new Sender(rested, certificates, idleMost)
  const fetch = (worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream> =>
    new Promise((came, failed) => sender.send(worker, outgoing, { came, failed }))
  return Object.assign(fetch, {
    send: (worker: WorkerRef, outgoing: Outgoing, waiter: Waiter<NodeUpstream>) =>
      sender.send(worker, outgoing, waiter),
    close: () => sender.close(),
  })
}

class Sender {
  readonly #rested: number
  readonly #certificates: Certificates | undefined
  readonly #idleMost: number
  readonly #origins = new Map<string, Origin>()
  readonly #workbench = new Workbench()

  constructor(rested: number, certificates: Certificates | undefined, idleMost: number) {
    this.#rested = rested
    this.#certificates = certificates
    this.#idleMost = idleMost
  }

  send(worker: WorkerRef, outgoing: Outgoing, waiter: Waiter<NodeUpstream>): void {
    try {
      const origin = this.#originOf(worker.url)
      this.#workbench.begin(origin.target, outgoing)
      if (outgoing.signal.aborted) throw abortFailure(outgoing.signal)
      const now = performance.now()
      const idle = outgoing.isOnce ? null : origin.take(now)
      if (idle === null) return this.#overNew(origin, outgoing, waiter, false)
      const exchange = new NodeUpstream(idle, outgoing.signal)
      const hasRested = now - idle.idleSince >= this.#rested
      const told = hasRested ? this.#orAgain(exchange, origin, outgoing, waiter) : waiter
      exchange.sendFor(told, outgoing, idle)
    } catch (error) {
      waiter.failed(error)
    }
  }

  close(): void {
    for (const origin of this.#origins.values()) origin.close()
  }

  #originOf(url: string): Origin {
    const known = this.#origins.get(url)
    if (known) return known
    const origin = new Origin(targetOf(url, this.#certificates), this.#workbench, this.#idleMost)
    this.#origins.set(url, origin)
    return origin
  }

  #overNew(origin: Origin, outgoing: Outgoing, waiter: Waiter<NodeUpstream>, isReplacing: boolean): void {
    const send = (connection: Connection) => {
      this.#workbench.begin(origin.target, outgoing)
      const exchange = new NodeUpstream(connection, outgoing.signal)
      exchange.isReplacing = isReplacing
      exchange.sendFor(waiter, outgoing, connection)
    }
    const sent = origin.connect(outgoing.connectTimeout, outgoing.signal).then(send)
    sent.catch((error: unknown) => waiter.failed(error))
  }

  /** In place of one who waits: what comes over a new connection, where the worker had closed the kept one. */
  #orAgain(
    exchange: NodeUpstream,
    origin: Origin,
    outgoing: Outgoing,
    waiter: Waiter<NodeUpstream>,
  ): Waiter<NodeUpstream> {
    const sentAt = performance.now()
    const failed = (failure: unknown) => {
      const isStale = performance.now() - sentAt <= STALE
      if (isStale && isRetryable(exchange, failure, outgoing)) this.#overNew(origin, outgoing, waiter, true)
      else waiter.failed(failure)
    }
    return { came: (upstream) => waiter.came(upstream), failed }
  }
}

/** A kept connection that the worker had closed meanwhile: no byte of an answer came, and the body can be sent again. */
function isRetryable(exchange: NodeUpstream, failure: unknown, outgoing: Outgoing): boolean {
  if (!(failure instanceof UpstreamFailure) || failure.kind !== 'reset' || exchange.heard) return false
  return outgoing.body === null || !('getReader' in outgoing.body)
}
