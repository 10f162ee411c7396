// What Cloudflare gives to a Worker and to its Durable Objects, and the configuration in it, read once.
import type { Batches } from '../../src/actors/batches.ts'
import type { Limiter } from '../../src/actors/limiter.ts'
import type { Pool } from '../../src/actors/pool.ts'
import type { Registry } from '../../src/actors/registry.ts'
import { formatIssue, type ConfigIssue } from '../../src/config/issues.ts'
import type { Loaded } from '../../src/config/assemble.ts'
import type { Config } from '../../src/config/schema.ts'
import { readConfig } from './config.ts'
import type { FetchwayTunnel } from './tunnel.ts'

/** The methods of `T` that a stub has, as far as its callers need to know. */
export interface Actors<T extends object> extends Pick<DurableObjectNamespace, 'getByName'> {
  /** Never set: it names the actor for the compiler. */
  readonly actor?: T
}

/** Bindings (wrangler.toml) and FETCHWAY_… variables. */
export interface Env {
  readonly REGISTRY: Actors<Registry>
  readonly POOL: Actors<Pool>
  readonly LIMITER: Actors<Limiter>
  /** Absent: files and batches are not kept here. */
  readonly BATCHES?: Actors<Batches>
  readonly TUNNEL: Pick<DurableObjectNamespace<FetchwayTunnel>, 'getByName'>
  readonly [variable: string]: unknown
}

/** A new configuration is a new deployment, so that an `env` never changes what it says. */
const read = new WeakMap<object, Loaded>()

/** The configuration of this environment, or what is wrong with it; read once. */
export function loadedOf(env: Env): Loaded {
  const loaded = read.get(env) ?? readConfig(env)
  read.set(env, loaded)
  return loaded
}

/** The configuration. Throws when it is wrong: no request reaches an actor then. */
export function configOf(env: Env): Config {
  const { config, issues } = loadedOf(env)
  if (config === null) throw new Error(sentenceOf(issues))
  return config
}

/** All that is wrong, as one text of lines. */
export const sentenceOf = (issues: readonly ConfigIssue[]): string => issues.map(formatIssue).join('\n')
