// Host.tunnels on Node: the parts that serve dialled-in workers are loaded when the first one comes.
import { UpstreamFailure, type Outgoing, type TunnelDoor, type WorkerRef } from '../../src/host.ts'
import type { Config } from '../../src/config/schema.ts'
import type { TunnelHall, HallSeams } from './tunnel-hall.ts'
import type { NodeUpstream } from './upstream.ts'

export interface NodeTunnels extends TunnelDoor {
  /** `Host.fetch` for workers that have dialled in. */
  fetch(worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream>
  /** The router stops: all links end, and those who dialled try again. */
  close(): void
}

/** `seams` is asked when the first worker dials in. */
export function createTunnels(initial: Config, seams: () => HallSeams): NodeTunnels {
  let config = initial
  let hall: TunnelHall | null = null
  let isClosed = false
  const load = async () => {
    const { TunnelHall: Hall } = await import('./tunnel-hall.ts')
    return (hall ??= new Hall(config, seams()))
  }
  return {
    async accept(request) {
      const loaded = hall ?? (await load())
      if (isClosed) loaded.close()
      return loaded.accept(request)
    },
    drop: (workerId) => hall?.gate.drop(workerId),
    configure(next) {
      config = next
      hall?.gate.configure(next)
    },
    async fetch(worker, outgoing) {
      if (!hall) throw new UpstreamFailure('connect', 'no worker has dialled in')
      return hall.fetch(worker, outgoing)
    },
    close() {
      isClosed = true
      hall?.close()
    },
  }
}
