// Where Durable Objects are made, and what a worker's calls go through when it has no public address.
import { UpstreamFailure } from '../../src/host.ts'
import type { WorkerRef } from '../../src/host.ts'
import type { Variables } from './config.ts'

/** The regions that Cloudflare knows as hints for a new object. */
export const REGIONS = ['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me'] as const
type Region = (typeof REGIONS)[number]

/** The variable of wrangler.toml that holds one of them: the region next to most GPUs. */
export const REGION = 'LOCATION_HINT'

/** The options with which an object is found. A hint counts once: for the call that makes the object. */
export function placeOf(env: Variables): { locationHint?: Region } {
  const region = REGIONS.find((one) => one === env[REGION])
  return region ? { locationHint: region } : {}
}

interface Fetcher {
  fetch(url: string, init?: RequestInit): Promise<Response>
}

/** Whether `name` is a binding that calls can go through: of a service, or of a VPC service or network. */
export const isFetcher = (env: Variables, name: string): boolean => {
  const binding = env[name]
  return typeof binding === 'object' && binding !== null && 'fetch' in binding
}

/** The fetch for a worker: the binding that its `via` names, else the global one. Throws `UpstreamFailure` when there is none. */
export function fetcherOf(env: Variables, { via }: WorkerRef): Fetcher['fetch'] {
  // Called as a method of nothing: workerd refuses any other `this`.
  if (!via) return (url, init) => fetch(url, init)
  const { binding } = via
  if (!isFetcher(env, binding)) throw new UpstreamFailure('connect', `there is no binding ${binding}`)
  return (url, init) => (env[binding] as Fetcher).fetch(url, init)
}
