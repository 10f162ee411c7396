// The configuration of a Worker: FETCHWAY_… variables and secrets, and a whole configuration as JSON in FETCHWAY_CONFIG.
import type { ConfigIssue } from '../../src/config/issues.ts'
import { assemble, type Loaded } from '../../src/config/assemble.ts'
import type { Config } from '../../src/config/schema.ts'
import type { ParsedFile, Tree } from '../../src/config/tree.ts'
import { outsideIssues } from './outside.ts'
import { isFetcher, REGION, REGIONS } from './place.ts'
import { SMALL_TREE_BYTES } from '../../src/prefix/sizes.ts'

/** What `env` holds besides bindings; an inline table or list of wrangler.toml comes as an object. */
export type Variables = Readonly<Record<string, unknown>>

const WHOLE = 'FETCHWAY_CONFIG'

/** Only a write that fails reveals a client that left, so that waiting streams are written to this often, ms. */
const KEEP_ALIVE = 1000
/** An isolate has 128 MB for everything, so that request bodies get half of it. */
const MAX_BUFFERED = 64 * 1024 * 1024

/**
 * Reads the configuration. Variables beat FETCHWAY_CONFIG, whose texts may name secrets as `${NAME}`. Differs from the other
 * runtimes in what is not set: `usage` is `sample` (unwatched streams pass natively; not where an `idleTimeout` is set), `keepAlive` is
 * 1 s, request bodies get 64 MiB in all and the index 48 MiB, and the control plane is closed without an admin key unless `host` is set to
 * a loopback address.
 */
export function readConfig(variables: Variables): Loaded {
  const environment = textsOf(variables)
  const whole = wholeOf(variables[WHOLE])
  const loaded = assemble({ environment, ...(whole && { file: whole, variables: environment }) })
  if (loaded.config === null) return loaded
  const { config, origins } = loaded
  const issues = [...notHere(config), ...missing(config, variables), ...outsideIssues(config)]
  // Nobody can tell whether a stream that passes natively falls silent: workerd's pipes show no progress, and one that is
  // interrupted can't be taken up again. Whoever sets that limit gets it.
  const isWatched = origins.usage || (origins.idleTimeout && config.idleTimeout > 0)
  if (issues.length > 0) return { config: null, issues }
  return {
    ...loaded,
    config: Object.freeze({
      ...config,
      ...(!isWatched && { usage: 'sample' as const }),
      ...(!origins.maxBuffered && { maxBuffered: MAX_BUFFERED }),
      ...(!origins.indexSize && { indexSize: SMALL_TREE_BYTES }),
      ...(!origins.keepAlive && { keepAlive: KEEP_ALIVE }),
      ...(!origins.host && { host: '0.0.0.0' }),
    }),
  }
}

/** What the configuration can say but a Worker can't do (yet): told rather than forgotten. */
function notHere(config: Config): ConfigIssue[] {
  const { adminListen, heartbeatListen, leader, peers } = config
  const { callbacks, requestRewriter, providers, semanticCache, lmcache } = config
  const issues: ConfigIssue[] = []
  const tell = (key: string, message: string) => issues.push({ source: 'default', name: key, key, message })
  if (adminListen !== undefined) {
    const instead = 'protect the control plane with adminKey'
    tell('adminListen', `${adminListen} can't be listened on: a Worker has one address; ${instead}`)
  }
  if (heartbeatListen !== undefined) {
    const instead = 'workers send their heartbeats to POST /fetchway/v1/heartbeat'
    tell('heartbeatListen', `${heartbeatListen} can't be listened on: ${instead}`)
  }
  const shared = 'all isolates share one pool already: poolShards makes it several'
  if (leader !== undefined) tell('leader', `a Worker follows no other router; ${shared}`)
  if (peers.length > 0) tell('peers', `a Worker tells no other router; ${shared}`)
  if (callbacks !== undefined) tell('callbacks', `${callbacks} can't be loaded: ${MODULES}`)
  if (requestRewriter !== undefined) tell('requestRewriter', `${requestRewriter} can't be loaded: ${MODULES}`)
  if (providers.length > 0) tell('providers', 'a Worker sends calls to its own workers alone so far')
  if (lmcache !== undefined) tell('lmcache', `a Worker can't listen on port ${lmcache.port}`)
  if (semanticCache !== undefined) tell('semanticCache', 'a Worker keeps no answers so far')
  return issues
}

const MODULES = 'a Worker is one file, and loads no modules by their paths'

/** Bindings and places that `env` does not have. */
function missing({ workers }: Config, variables: Variables): ConfigIssue[] {
  const issues = workers.flatMap(({ via, url }, at): ConfigIssue[] => {
    if (!via || isFetcher(variables, via.binding)) return []
    const message = `${url} goes through ${via.binding}, which is no service or VPC binding of this Worker`
    return [{ source: 'default', name: 'workers', key: `workers[${at}].via`, message }]
  })
  const region = variables[REGION]
  if (region === undefined || REGIONS.some((one) => one === region)) return issues
  const message = `expected one of ${REGIONS.join(', ')}, got ${JSON.stringify(region)}`
  return [...issues, { source: 'env', name: REGION, key: '', message }]
}

/** Variables as texts; a list of texts is one with commas. */
function textsOf(variables: Variables): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(variables)) {
    if (typeof value === 'string') texts[name] = value
    else if (!name.startsWith('FETCHWAY_') || name === WHOLE || value === null || value === undefined)
      continue
    else if (Array.isArray(value)) texts[name] = value.map(String).join(',')
    else if (typeof value !== 'object') texts[name] = String(value as number | boolean)
  }
  return texts
}

function wholeOf(value: unknown): ParsedFile | null {
  if (value === undefined || value === '') return null
  if (typeof value !== 'string') return { name: WHOLE, tree: treeOf(value), issues: [] }
  try {
    return { name: WHOLE, tree: treeOf(JSON.parse(value)), issues: [] }
  } catch (error) {
    const message = `this is not valid JSON: ${error instanceof Error ? error.message : String(error)}`
    return { name: WHOLE, tree: null, issues: [{ message, ...NOWHERE }] }
  }
}

/** A variable has no lines worth naming. */
const NOWHERE = { line: 1, column: 1 }

function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return { kind: 'list', items: value.map(treeOf), ...NOWHERE }
  if (typeof value !== 'object' || value === null)
    return { kind: 'scalar', value: value as string | number | boolean | null, ...NOWHERE }
  const entries = Object.entries(value).map(([key, one]) => ({ key, value: treeOf(one), ...NOWHERE }))
  return { kind: 'map', entries, ...NOWHERE }
}
