// What the registry tells of its workers: to the pools (membership), to the app (directory), to people (views).
import type { Check } from '../discovery/checks.ts'
import type { WorkerRef } from '../host.ts'
import type { EngineFacts, ModelFacts } from '../engines/engine.ts'
import { kvSourcesOf, type KvSourceSpec } from '../engines/kv-sources.ts'
import { loadSourcesOf, type LoadSource } from '../engines/load-sources.ts'
import { needsPrefix } from '../policies/policy.ts'
import type { Config, WorkerSpec } from '../config/schema.ts'

/** Where a worker came from; only those of the API are kept over a restart. */
export type WorkerSource = 'flag' | 'api' | 'discovery' | 'beat' | 'tunnel'

/** A worker as the registry holds it. */
export interface WorkerRecord {
  readonly id: string
  spec: WorkerSpec
  readonly source: WorkerSource
  readonly addedAt: number
  draining: boolean
  /** Ranks that drain while the others don't. */
  drainingRanks?: readonly number[]
  /** False: its tunnel is gone. */
  reachable?: boolean
  /** What the worker said of itself; null until it answered. Kept when it dies, so that its models stay known. */
  facts: EngineFacts | null
  /** When it is asked (again), epoch ms. */
  askAt: number
  /** How often it was asked without an answer since it last answered. */
  silent: number
  /** It was asked at least once. */
  asked: boolean
  /** Why it can't be used as it is configured; null: nothing is known against it. */
  problem: string | null
}

/** A worker as its pool needs it. */
export interface Member {
  readonly ref: WorkerRef
  readonly role: WorkerSpec['role']
  readonly weight: number
  /** Names it answers to, adapters included; null: any. Empty until it was asked. */
  readonly models: readonly string[] | null
  /** Those of its models that are adapters (LoRA) of another. */
  readonly adapters?: readonly string[]
  readonly draining: boolean
  /** False: it is down, and no probe need find that out. */
  readonly reachable?: boolean
  readonly maxInFlight: number | null
  readonly kvCapacityTokens: number | null
  /** What it brings along where it is new. */
  readonly past?: WorkerSpec['past']
  /** Where its engine tells its load. */
  readonly loadPath?: string
  /** Where its engine publishes its load by itself. */
  readonly loadSources?: readonly LoadSource[]
  /** What it is probed with in place of the path of health; absent: that path. */
  readonly probes?: readonly Check[]
  /** Where its engine publishes KV events, when they are followed. */
  readonly kvEvents?: readonly KvSourceSpec[]
}

export interface Membership {
  readonly version: number
  readonly members: readonly Member[]
}

export interface ModelEntry extends ModelFacts {
  readonly engines: readonly string[]
  readonly createdAt: number
}

/** What the app must know to admit a call. */
export interface Directory {
  readonly version: number
  readonly models: readonly ModelEntry[]
  /** Some worker takes any model name. */
  readonly wildcard: boolean
  /** Workers that never answered yet. */
  readonly pending: number
  readonly workers: number
}

/** A worker as the control plane shows it: no keys, no header values. */
export interface WorkerView {
  readonly id: string
  readonly url: string
  readonly engine: string
  readonly version: string | null
  readonly role: WorkerSpec['role']
  readonly source: WorkerSource
  readonly models: readonly string[]
  /** It said what it is, or was configured so that it need not. */
  readonly known: boolean
  /** Why it can't be used as it is configured, or null. */
  readonly problem: string | null
  readonly max_model_length: number | null
  readonly kv_capacity_tokens: number | null
  readonly weight: number
  readonly labels: Readonly<Record<string, string>>
  readonly headers: readonly string[]
  readonly has_api_key: boolean
  readonly max_in_flight: number | null
  /** Data-parallel rank that this is; null: all that its URL serves. */
  readonly rank: number | null
  /** Ranks behind the URL; null: they are not told apart. */
  readonly ranks: number | null
  readonly draining: boolean
  readonly added_at: string
}

/** What is needed to reach a worker, with the keys that hold for it. */
export function refOf(
  record: WorkerRecord,
  { workerApiKey, workerProbeKey }: Pick<Config, 'workerApiKey' | 'workerProbeKey'>,
): WorkerRef {
  const { spec, facts } = record
  const apiKey = spec.apiKey ?? workerApiKey
  return {
    id: record.id,
    url: spec.url,
    engine: spec.engine ?? facts?.engine ?? 'unknown',
    ...(apiKey !== undefined && { apiKey }),
    ...(workerProbeKey !== undefined && { probeKey: workerProbeKey }),
    ...(spec.headers && { headers: spec.headers }),
    ...(spec.via && { via: spec.via }),
    ...(spec.bootstrapPort !== undefined && { bootstrapPort: spec.bootstrapPort }),
    ...(spec.kvAddress !== undefined && { kvAddress: spec.kvAddress }),
    ...(spec.transfer && { transfer: spec.transfer }),
  }
}

/** Names that a worker answers to: as configured, else as it said; null: any. `takesAny`: one that was not asked yet gets calls, too. */
export function modelsOf(record: WorkerRecord, takesAny = false): readonly string[] | null {
  if (record.spec.models) return record.spec.models
  if (record.facts === null) return takesAny ? null : []
  return record.facts.models.length > 0 ? record.facts.models.map((model) => model.id) : null
}

/** A worker as its pool is told of it, by what was configured and what it said itself. */
export function memberOf(record: WorkerRecord, config: Config): Member {
  const ref = refOf(record, config)
  const kvSession = kvSessionOf(record, ref.engine, config)
  const kvEvents = followsEvents(config) ? kvSourcesOf(record.spec, record.facts) : []
  const loadSources = loadSourcesOf(record.spec.url, record.facts)
  const adapters = (record.facts?.models ?? []).filter((model) => model.parent).map((model) => model.id)
  return {
    ref: kvSession ? { ...ref, kvSession } : ref,
    role: record.spec.role,
    weight: record.spec.weight,
    // One that told of itself is used once it has told its models, too: it may be loading them still.
    models: modelsOf(record, config.models === 'ignore' && record.source !== 'beat'),
    ...(adapters.length > 0 && { adapters }),
    draining: record.draining,
    ...(record.reachable === false && { reachable: false }),
    maxInFlight: record.spec.maxInFlight ?? null,
    kvCapacityTokens: record.facts?.kvCapacityTokens ?? null,
    ...(record.spec.past && { past: record.spec.past }),
    ...(record.facts?.loadPath && { loadPath: record.facts.loadPath }),
    ...(loadSources.length > 0 && { loadSources }),
    ...(kvEvents.length > 0 && { kvEvents }),
    ...(record.spec.probes && record.spec.probes.length > 0 && { probes: record.spec.probes }),
  }
}

const followsEvents = (config: Config): boolean => config.kvEvents === 'auto' && needsPrefix(config)

/** How calls are named to a worker whose KV events are looked at; SGLang may keep state for a session, and is asked only by wish. */
function kvSessionOf({ spec, facts }: WorkerRecord, engine: string, config: Config): WorkerRef['kvSession'] {
  if (!followsEvents(config) || config.kvSessions === 'off') return undefined
  if (spec.kvEvents !== 'push' && kvSourcesOf(spec, facts).length === 0) return undefined
  if (engine === 'vllm') return 'header'
  return engine === 'sglang' && config.kvSessions === 'all' ? 'body' : undefined
}

/** A worker as the control plane shows it. `hasKey`: it has one of its own, which is never shown. */
export function viewOf(record: WorkerRecord, hasKey: boolean): WorkerView {
  const { spec, facts } = record
  return {
    id: record.id,
    url: spec.url,
    engine: spec.engine ?? facts?.engine ?? 'unknown',
    version: facts?.version ?? null,
    role: spec.role,
    source: record.source,
    models: modelsOf(record) ?? [],
    known: facts !== null || spec.models !== undefined,
    problem: record.problem,
    max_model_length: facts?.models.find((model) => model.maxModelLength)?.maxModelLength ?? null,
    kv_capacity_tokens: facts?.kvCapacityTokens ?? null,
    weight: spec.weight,
    labels: spec.labels,
    headers: Object.keys(spec.headers ?? {}),
    has_api_key: hasKey,
    max_in_flight: spec.maxInFlight ?? null,
    rank: null,
    ranks: null,
    draining: record.draining,
    added_at: new Date(record.addedAt).toISOString(),
  }
}

/** One entry per model over all workers, in the order in which they were first seen. */
export function directoryOf(version: number, records: Iterable<WorkerRecord>): Directory {
  const models = new Map<string, ModelEntry & { engines: string[] }>()
  let wildcard = false
  let pending = 0
  let workers = 0
  for (const record of records) {
    workers++
    const names = modelsOf(record)
    if (names === null) wildcard = true
    if (record.facts === null && !record.spec.models) pending++
    const engine = record.spec.engine ?? record.facts?.engine ?? 'unknown'
    for (const name of names ?? []) {
      const facts = record.facts?.models.find((model) => model.id === name) ?? { id: name }
      const known = models.get(name)
      if (!known) models.set(name, { ...facts, engines: [engine], createdAt: record.addedAt })
      else if (!known.engines.includes(engine)) known.engines.push(engine)
    }
  }
  return { version, models: [...models.values()], wildcard, pending, workers }
}

/** After a few silent rounds a server without any model list is taken as it is: it may be good for one thing only. */
export const mayBeBare = ({ spec, silent, facts }: WorkerRecord) =>
  spec.engine === undefined ? silent >= 3 || facts?.models.length === 0 : spec.engine === 'unknown'

/** A patch of `null` takes a value back. */
export function withoutNulls(spec: WorkerSpec): WorkerSpec {
  return Object.fromEntries(
    Object.entries(spec).filter(([, value]) => value !== null && value !== undefined),
  ) as unknown as WorkerSpec
}
