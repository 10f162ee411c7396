// What the router must know of each engine. Adding one is one file and one line in `engines` below.
import { lmdeploy } from './lmdeploy.ts'
import { cardsOf, type ModelCard } from './reply.ts'
import { sglang } from './sglang.ts'
import { vllm } from './vllm.ts'

export type EngineName = 'vllm' | 'sglang' | 'lmdeploy'

export interface ModelFacts {
  readonly id: string
  /** Where the engine loaded it from. */
  readonly root?: string
  /** The model that this one is an adapter (LoRA) of. */
  readonly parent?: string
  /** Longest prompt and answer together, in tokens. */
  readonly maxModelLength?: number
}

export interface EngineFacts {
  readonly engine: EngineName | 'unknown'
  readonly version?: string
  readonly models: readonly ModelFacts[]
  /** KV cache of all data-parallel ranks together. */
  readonly kvCapacityTokens?: number
  /** Tokens of one block (page) of that cache. */
  readonly blockTokens?: number
  /** Where `load` asks. */
  readonly loadPath?: string
  /** Where the engine shows Prometheus metrics. */
  readonly metricsPath?: string
  /** Data-parallel ranks behind the URL. */
  readonly dpSize?: number
  /** What the engine says of its KV event publishers, as it came. */
  readonly kvEvents?: unknown
}

export interface WorkerReply {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Record<string, string>
  readonly text: string
}

/** Asks the worker one small thing; null: not reachable. Bounded in time and size by whoever provides it. */
export type AskWorker = (method: 'GET' | 'POST', path: string) => Promise<WorkerReply | null>

/** How busy a worker is, over all its ranks. What is absent was not told. */
export interface EngineLoad {
  readonly running: number
  readonly waiting: number
  /** Prompt tokens of what waits that the cache does not hold. */
  readonly waitingUncachedTokens?: number
  /** 0 to 1. */
  readonly kvUsage?: number
  readonly kvTokens?: number
  readonly kvCapacityTokens?: number
  readonly prefixCache?: PrefixCacheUse
  /** The same of each data-parallel rank, where it has several. */
  readonly ranks?: readonly RankLoad[]
}

/** How well an engine's prefix cache served, since it started. */
export interface PrefixCacheUse {
  /** Tokens (blocks, in old versions) that were looked up, and those found; absent where a rate alone is told. */
  readonly queries?: number
  readonly hits?: number
  /** 0 to 1. */
  readonly rate: number
}

export interface RankLoad extends Omit<EngineLoad, 'ranks'> {
  readonly rank: number
}

/** What is known of a worker when its load is asked. */
export type LoadFacts = Partial<Pick<EngineFacts, 'loadPath' | 'kvCapacityTokens'>>

export interface EnginePlugin {
  readonly name: EngineName
  /** Whether a model card was written by this engine. */
  recognise(card: ModelCard): boolean
  /** What only this engine can be asked, in at most three requests. Questions that stay unanswered leave facts out. */
  facts(ask: AskWorker): Promise<Omit<EngineFacts, 'engine' | 'models'>>
  /** One request, up to three where the engine's version has no better place; null when nothing tells its load. */
  load(ask: AskWorker, facts?: LoadFacts): Promise<EngineLoad | null>
  /** Whether it has this inference path (without query). */
  serves(path: string): boolean
  /** Paths whose POST empties its KV cache, or takes it into use again empty. */
  readonly cacheClearing: readonly string[]
}

export const engines: readonly EnginePlugin[] = [vllm, sglang, lmdeploy]

/** The plug-in of that name; null for `unknown`. */
export function engineOf(name: string): EnginePlugin | null {
  return engines.find((engine) => engine.name === name) ?? null
}

/**
 * Asks a worker what it is, in at most four requests that cost the engine next to nothing. `known` says which engine
 * it is where the owner told us; else the owner of its models does, and an engine that we don't know is `unknown`.
 * null: not up yet — unreachable, refusing our key, or without a model. A server that has no model list at all is
 * accepted (with no models) only if it `mayBeBare`, by default where the owner said that its engine is `unknown`:
 * nobody can tell it from a gateway in front of an engine that still starts.
 */
export async function discover(
  ask: AskWorker,
  known?: EngineFacts['engine'],
  mayBeBare = known === 'unknown',
): Promise<EngineFacts | null> {
  const reply = await ask('GET', '/v1/models')
  const cards = cardsOf(reply)
  if (!cards?.length) {
    const isOther = mayBeBare && reply !== null && (reply.status === 200 || reply.status === 404)
    return isOther ? { engine: 'unknown', models: [] } : null
  }
  const models = cards.map(({ ownedBy: _owner, ...facts }): ModelFacts => facts)
  const plugin = known
    ? engineOf(known)
    : engines.find((engine) => cards.some((card) => engine.recognise(card)))
  return plugin
    ? { engine: plugin.name, models, ...(await plugin.facts(ask)) }
    : { engine: 'unknown', models }
}

/**
 * The engines that have an inference path (without query), for `Ask.engines`. null: any engine will do, because all
 * have it or because none is known to (then the engine's own 404 is the truth). `unknown` engines are expected to
 * speak what lies under /v1.
 */
export function enginesServing(path: string): readonly string[] | null {
  const names: string[] = engines.filter((engine) => engine.serves(path)).map((engine) => engine.name)
  if (names.length === 0 || names.length === engines.length) return null
  return path.startsWith('/v1/') ? [...names, 'unknown'] : names
}
