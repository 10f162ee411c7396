// What production-stack's endpoints and habits depend on besides the configuration: its `dialectOptions`.
import type { Core } from '../../core.ts'

/** Fixed once the router runs. */
export interface Options {
  /** Path below which the router is reached, without a trailing slash; '': none. */
  readonly rootPath: string
  /** Seconds. */
  readonly requestStatsWindow: number
  readonly logStats: boolean
  readonly logStatsInterval: number
  readonly hasBatchApi: boolean
  readonly lmcache: {
    readonly port: number
    readonly replyPort?: number
    readonly heartbeatPort?: number
    readonly workerTimeout: number
  }
  readonly kvAwareThreshold: number
  readonly live: LiveOptions
}

/** What a reload may change. */
export interface LiveOptions {
  readonly discovery: 'static' | 'k8s' | 'external-only'
  /** Workers are checked with real calls: who fails is not listed. */
  readonly isChecked: boolean
  /** As in `--routing-logic`; '': there is none. */
  readonly routing: string
  readonly sessionKey?: string
  /** The dynamic configuration as /health shows it; absent: there is no file. */
  readonly dynamic?: Readonly<Record<string, unknown>>
}

/** The options that are in force now. */
export const optionsOf = ({ config }: Pick<Core, 'config'>): Options =>
  config.dialectOptions as unknown as Options
