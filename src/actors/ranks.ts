// A server with data-parallel ranks is as many workers: one for each `url@rank`, with loads, prefixes and breakers of its own.
import type { Config } from '../config/schema.ts'
import type { WorkerRef } from '../host.ts'
import { memberOf, refOf, viewOf, type Member, type WorkerRecord, type WorkerView } from './members.ts'

/** Engines that can be told a rank with each call; the ranks of LMDeploy have URLs of their own. */
const STEERED: readonly string[] = ['vllm', 'sglang', 'unknown']
/** SGLang calls the field so since then; what it was called before is understood still, and may not be for ever. */
const RENAMED = [0, 5, 10]

/** Ranks that a server is split into; null: it is one worker. One rank is as good as none. */
export function ranksOf({ spec, facts }: WorkerRecord, config: Pick<Config, 'ranks'>): number | null {
  const wanted = spec.ranks ?? config.ranks
  if (wanted === undefined || !STEERED.includes(spec.engine ?? facts?.engine ?? 'unknown')) return null
  const ranks = wanted === 'ask' ? (facts?.dpSize ?? 1) : wanted
  return ranks > 1 ? ranks : null
}

/** Id of one rank of a server. */
export const rankId = (serverId: string, rank: number): string => `${serverId}.${rank}`

/** Id of the server that a worker is (a rank of). */
export const serverIdOf = (workerId: string): string => workerId.replace(/\.\d+$/, '')

/** Ids of the workers that a server is. */
export const workerIdsOf = ({ id, ranks }: Pick<WorkerView, 'id' | 'ranks'>): string[] =>
  ranks === null ? [id] : Array.from({ length: ranks }, (_, rank) => rankId(id, rank))

/** The rank that an id names; null: a whole server. */
function rankOf(workerId: string): number | null {
  const digits = /\.(\d+)$/.exec(workerId)?.[1]
  return digits === undefined ? null : Number(digits)
}

/** What a pool gets of a server: itself, or its ranks. */
export function membersOf(record: WorkerRecord, config: Config): Member[] {
  const ranks = ranksOf(record, config)
  if (ranks === null) return [memberOf(record, config)]
  // What is followed of it has a port for each rank, however many it told.
  const facts = record.facts && { ...record.facts, dpSize: ranks }
  const server = memberOf({ ...record, facts }, config)
  return Array.from({ length: ranks }, (_, rank) => rankMember(server, record, { rank, ranks }))
}

function rankMember(server: Member, record: WorkerRecord, { rank, ranks }: Place): Member {
  const { kvEvents, loadSources, ...rest } = server
  const own = <T extends { readonly rank: number }>(sources: readonly T[] = []) =>
    sources.filter((source) => source.rank === rank)
  const [events, loads] = [own(kvEvents), own(loadSources)]
  const { kvCapacityTokens } = server
  return {
    ...rest,
    ref: rankRef(server.ref, record, { rank, ranks }),
    draining: server.draining || record.drainingRanks?.includes(rank) === true,
    kvCapacityTokens: kvCapacityTokens === null ? null : Math.floor(kvCapacityTokens / ranks),
    ...(events.length > 0 && { kvEvents: events }),
    ...(loads.length > 0 && { loadSources: loads }),
  }
}

interface Place {
  readonly rank: number
  readonly ranks: number
}

function rankRef(server: WorkerRef, { facts }: WorkerRecord, { rank, ranks }: Place): WorkerRef {
  const field = server.engine === 'sglang' ? fieldFor(facts?.version) : null
  return { ...server, id: rankId(server.id, rank), rank, ranks, ...(field !== null && { rankField: field }) }
}

function fieldFor(version: string | undefined): WorkerRef['rankField'] & string {
  const parts = (version ?? '').split('.').map((part) => Number.parseInt(part, 10))
  for (const [i, least] of RENAMED.entries()) {
    const part = parts[i] ?? Number.NaN
    if (part !== least) return part > least ? 'routed_dp_rank' : 'data_parallel_rank'
  }
  return 'routed_dp_rank'
}

/** The same for people: a view of the server, or one of each rank. */
export function viewsOf(record: WorkerRecord, config: Config): WorkerView[] {
  const server = serverView(record, config)
  const { ranks } = server
  return ranks === null
    ? [server]
    : Array.from({ length: ranks }, (_, rank) => rankView(server, record, { rank, ranks }))
}

/** A server as a whole, whatever its ranks. */
function serverView(record: WorkerRecord, config: Config): WorkerView {
  const hasKey = refOf(record, config).apiKey !== undefined
  return { ...viewOf(record, hasKey), ranks: ranksOf(record, config) }
}

/** The server that an id names, itself or by one of its ranks. */
export function findRecord(
  records: ReadonlyMap<string, WorkerRecord>,
  id: string,
  config: Pick<Config, 'ranks'>,
): WorkerRecord | undefined {
  const record = records.get(serverIdOf(id))
  const rank = rankOf(id)
  const isThere = record && (rank === null || rank < (ranksOf(record, config) ?? 0))
  return isThere ? record : undefined
}

/** What an id names; the server where it has no such rank any more. */
export function viewFor(record: WorkerRecord, id: string, config: Config): WorkerView {
  const rank = rankOf(id)
  return (rank === null ? null : viewsOf(record, config)[rank]) ?? serverView(record, config)
}

function rankView(server: WorkerView, record: WorkerRecord, { rank, ranks }: Place): WorkerView {
  const { kv_capacity_tokens: capacity } = server
  return {
    ...server,
    id: rankId(server.id, rank),
    url: `${server.url}@${rank}`,
    rank,
    kv_capacity_tokens: capacity === null ? null : Math.floor(capacity / ranks),
    draining: server.draining || record.drainingRanks?.includes(rank) === true,
  }
}

/** Lets a server drain with all its ranks, or the one that an id names. */
export function setDraining(record: WorkerRecord, id: string, draining: boolean): void {
  const rank = rankOf(id)
  if (rank === null) {
    record.draining = draining
    record.drainingRanks = []
    return
  }
  const others = (record.drainingRanks ?? []).filter((one) => one !== rank)
  record.drainingRanks = draining ? [...others, rank] : others
}

/** Why a number of ranks can't be right; null: nothing speaks against it. */
export function rankProblem(record: WorkerRecord, config: Pick<Config, 'ranks'>): string | null {
  const wanted = record.spec.ranks ?? config.ranks
  const told = record.facts?.dpSize
  if (typeof wanted !== 'number' || told === undefined || told >= wanted || wanted === 1) return null
  return `it has ${told} data-parallel rank(s), not ${wanted}: set ranks to ${told}, or to ask`
}
