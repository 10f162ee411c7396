// What a running router can take over from a new configuration, and what has to wait for a restart.
import type { Config } from './schema.ts'

/** Keys that are fixed once the router listens. */
const FIXED: readonly (keyof Config)[] = [
  'host',
  'port',
  'socket',
  'tlsCert',
  'tlsKey',
  'threads',
  'poolShards',
  'peers',
  'leader',
  'state',
  'adminListen',
  'maxHeader',
  'maxBody',
  'metrics',
  'metricsListen',
  'durationBuckets',
  'workerTlsCert',
  'workerTlsKey',
  'workerTlsCa',
  'workerKeepAlive',
  'record',
  'profile',
  'batches',
  'batchStore',
  'batchConcurrency',
  'batchLines',
  'maxFile',
  'fileQuota',
  'fileExpiry',
  'corsOrigins',
  'dialect',
  'dialectOptions',
  'strictCompat',
]

export interface Reload {
  /** The new configuration, with the running values of the keys that cannot change now. */
  readonly config: Config
  /** Keys that changed and take effect. */
  readonly changed: readonly (keyof Config)[]
  /** Keys that changed and need a restart. */
  readonly needRestart: readonly (keyof Config)[]
}

/** Compares a running configuration with a new one. Of a dialect's options those under `live` can change. */
export function planReload(running: Config, next: Config): Reload {
  const keys = [...new Set([...Object.keys(running), ...Object.keys(next)])] as (keyof Config)[]
  const different = keys.filter((key) => !isSame(fixedPart(running, key), fixedPart(next, key)))
  const kept = Object.fromEntries(
    FIXED.filter((key) => running[key] !== undefined).map((key) => [key, running[key]]),
  )
  const free = Object.fromEntries(
    Object.entries(next).filter(([key]) => !FIXED.includes(key as keyof Config)),
  )
  const live = next.dialectOptions['live']
  const dialectOptions = { ...running.dialectOptions, ...(live !== undefined && { live }) }
  const isLiveOther = !isSame(running.dialectOptions['live'], live)
  return {
    config: Object.freeze({ ...free, ...kept, dialectOptions } as Config),
    changed: [
      ...different.filter((key) => !FIXED.includes(key)),
      ...(isLiveOther ? (['dialectOptions'] as const) : []),
    ],
    needRestart: different.filter((key) => FIXED.includes(key)),
  }
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

function fixedPart(config: Config, key: keyof Config): unknown {
  if (key !== 'dialectOptions') return config[key]
  const { live: _, ...rest } = config.dialectOptions
  return rest
}
