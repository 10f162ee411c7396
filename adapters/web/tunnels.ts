// Host.tunnels where a process holds the sockets (Node, Deno, Bun): what serves dialled-in workers is loaded when the first one comes.
import { UpstreamFailure, type Host, type Outgoing, type TunnelDoor, type WorkerRef } from '../../src/host.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Gate, TunnelHome } from '../../src/tunnel/gate.ts'
import type { LinkTimes } from '../../src/tunnel/link.ts'
import type { NodeUpstream } from '../node/upstream.ts'
import type { TakeSocket, TunnelHall } from './tunnel-hall.ts'

export interface Tunnels extends TunnelDoor {
  /** `Host.fetch` for workers that have dialled in. */
  fetch(worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream>
  /** `Host.upgrade` for workers that have dialled in. */
  readonly upgrade: NonNullable<Host['upgrade']>
  /** Where the tunnels are, for the threads that serve beside this one. */
  home(): Promise<TunnelHome>
  /** The router stops: all links end, and those who dialled try again. */
  close(): void
}

export type TunnelSeams = ConstructorParameters<typeof Gate>[1]

export interface TunnelOptions {
  readonly take: TakeSocket
  /** Asked when the first worker dials in. */
  readonly seams: () => TunnelSeams
  readonly times?: LinkTimes | undefined
}

/** Tunnels that are here; with `home` they are elsewhere, and only sockets are taken here. */
export function createTunnels(initial: Config, options: TunnelOptions | TunnelsElsewhere): Tunnels {
  let config = initial
  let hall: TunnelHall | null = null
  let isClosed = false
  const load = async () => {
    const { TunnelHall: Hall } = await import('./tunnel-hall.ts')
    const home = 'home' in options ? options.home : await gateOf(config, options)
    hall ??= new Hall(home, options.take)
    if (isClosed) hall.home.close()
    return hall
  }
  const isHere = !('home' in options)
  const found = async () => {
    if (!hall && isHere) throw new UpstreamFailure('connect', 'no worker has dialled in')
    return hall ?? load()
  }
  return {
    accept: async (request) => (hall ?? (await load())).accept(request),
    drop(workerId) {
      if (isHere) hall?.home.drop(workerId)
      else options.home.drop(workerId)
    },
    configure(next) {
      config = next
      hall?.home.configure(next)
    },
    fetch: async (worker, outgoing) => (await found()).fetch(worker, outgoing),
    upgrade: async (...call) => (await found()).upgrade(...call),
    home: async () => (hall ?? (await load())).home,
    close() {
      isClosed = true
      hall?.home.close()
    },
  }
}

/** The tunnels of a thread that only serves. */
export interface TunnelsElsewhere {
  readonly take: TakeSocket
  readonly home: TunnelHome
}

async function gateOf(config: Config, { seams, times }: TunnelOptions): Promise<TunnelHome> {
  const { Gate: Made } = await import('../../src/tunnel/gate.ts')
  return new Made(config, seams(), times)
}
