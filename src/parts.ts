// What only some routers need: the dialects of others, and the sources that find workers. A runtime lends those that can work there.
import type { DialectName } from './dialects/names.ts'
import type { MakeSurface } from './dialects/surfaces.ts'
import { byHeartbeat, byKubernetes, type SourceKind } from './discovery/source.ts'

export interface Parts {
  /** How a dialect answers; null when there is none of that name. */
  surface(name: string): Promise<MakeSurface | null>
  /** The kinds of sources that a configuration may ask for. */
  readonly sources: readonly SourceKind[]
  /** A page on which a dialect's program describes itself; undefined: it is none. Left out where it would only weigh. */
  readonly pages?: (dialect: DialectName, request: Request, path: string) => Promise<Response | undefined>
}

/** All of them, each loaded only when it is asked for. */
export const allParts: Parts = {
  surface: async (name) => (await import('./dialects/lasting.ts')).lastingSurfaceNamed(name),
  pages: async (...asked) => (await import('./dialects/python/pages.ts')).pageOf(...asked),
  sources: [
    byKubernetes(async () => {
      const { findAccess } = await import('./discovery/kubernetes/access.ts')
      return (await import('./discovery/kubernetes/source.ts')).kubernetesSource(findAccess)
    }),
    byHeartbeat(async () => (await import('./discovery/heartbeat/port.ts')).heartbeatSource),
  ],
}
