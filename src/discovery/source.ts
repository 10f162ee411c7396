// Where workers come from besides the configuration and the API: a source finds them and tells the registry which it wants.
import type { WorkerSource } from '../actors/members.ts'
import type { Config, WorkerSpec } from '../config/schema.ts'
import type { Host, Outside } from '../host.ts'

/** A worker that a source wants. */
export interface Wanted {
  /** Stays while it is the same worker; another one at the same URL has another. */
  readonly key: string
  readonly spec: WorkerSpec
  /** It gets no new calls and keeps those that it has. */
  readonly draining: boolean
  /** How the control plane says that it came; absent: `discovery`. */
  readonly source?: WorkerSource
}

/** What a source may use. */
export type SourceSeams = Pick<Host, 'now' | 'random' | 'timer' | 'log' | 'after' | 'outside' | 'sockets'>

/** How a source is, for people. */
export interface SourceStatus {
  readonly name: string
  /** It knows its workers, or has tried and failed: nobody need wait for it. */
  readonly isSettled: boolean
  /** When it last knew for sure who is there, ISO time; null: never. */
  readonly synced_at: string | null
  /** Why it does not know now; null: it does. */
  readonly problem: string | null
  readonly workers: number
  /** What else it counts. */
  readonly counts: Readonly<Record<string, number>>
}

export interface Source {
  /** Begins to look. Never throws. */
  start(): void
  stop(): void
  status(): SourceStatus
  /** Takes over what it need not be begun anew for. */
  configure?(config: Config): void
  /** A worker tells of itself. `isTrusted`: its sender has shown already that it may. */
  hear?(value: unknown, isTrusted: boolean): Heard
}

/** What became of a worker's word. */
export type Heard =
  | {
      readonly kind: 'heard'
      readonly worker: string
      readonly url: string
      readonly isNew: boolean
      /** Milliseconds; 0: never. */
      readonly expiresIn: number
    }
  | { readonly kind: 'invalid' | 'forbidden'; readonly message: string }

/**
 * Takes all workers that a source wants, whenever they changed; the same list twice is harmless. Null: it can't know them yet, and
 * has tried; those that it wanted before stay.
 */
export type Want = (workers: readonly Wanted[] | null) => void

/** A kind of source. Another one is a file, its rules below, and a line in each list of parts (parts.ts). */
export interface SourceKind {
  readonly name: string
  /**
   * What it goes by, or null when nobody asks for it; one with another answer is begun anew. `isNeeded`: a worker told of itself,
   * which this source hears.
   */
  rules(config: Config, isNeeded?: boolean): unknown
  /** Workers tell it of themselves. */
  readonly hears?: boolean
  load(): Promise<SourceMaker>
}

export interface SourceMaker {
  make(config: Config, seams: SourceSeams, want: Want): Source
  /** What can't work as it is configured, told before anybody listens. @throws Error that says what to change */
  check(config: Config, outside: Outside | undefined): Promise<void>
}

/** Checks those sources that a configuration asks for. @throws Error that says what to change */
export async function checkSources(
  sources: readonly SourceKind[],
  config: Config,
  outside: Outside | undefined,
): Promise<void> {
  for (const kind of sources)
    if (kind.rules(config) !== null) await (await kind.load()).check(config, outside)
}

/** Pods and services of a Kubernetes cluster. */
export const byKubernetes = (load: SourceKind['load']): SourceKind => ({
  name: 'kubernetes',
  rules: (config) =>
    config.discover.includes('kubernetes')
      ? Object.entries(config).filter(([key]) => key.startsWith('kube'))
      : null,
  load,
})

/** Workers that tell of themselves. */
export const byHeartbeat = (load: SourceKind['load']): SourceKind => ({
  name: 'heartbeat',
  hears: true,
  rules: ({ heartbeatListen }, isNeeded) =>
    heartbeatListen === undefined && !isNeeded ? null : [heartbeatListen],
  load,
})
