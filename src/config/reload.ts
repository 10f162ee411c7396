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

/** Compares a running configuration with a new one. */
export function planReload(running: Config, next: Config): Reload {
  const keys = [...new Set([...Object.keys(running), ...Object.keys(next)])] as (keyof Config)[]
  const different = keys.filter((key) => JSON.stringify(running[key]) !== JSON.stringify(next[key]))
  const kept = Object.fromEntries(
    FIXED.filter((key) => running[key] !== undefined).map((key) => [key, running[key]]),
  )
  const free = Object.fromEntries(
    Object.entries(next).filter(([key]) => !FIXED.includes(key as keyof Config)),
  )
  return {
    config: Object.freeze({ ...free, ...kept } as Config),
    changed: different.filter((key) => !FIXED.includes(key)),
    needRestart: different.filter((key) => FIXED.includes(key)),
  }
}
