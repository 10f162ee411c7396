// Load that an engine tells with its answers (ORCA, the open request cost aggregation): asked for by one header, told in another.
import { mean, sum } from './exposition.ts'

/** Asks for a report; vLLM 0.32 and Triton take `TEXT` and `JSON`, and tell it with answers that do not stream. */
export const ORCA_REQUEST = 'endpoint-load-metrics-format'
/** Holds the report. */
export const ORCA_ANSWER = 'endpoint-load-metrics'
/** In text, data-parallel ranks repeat a name; in vLLM's JSON the last one would hide the others. */
export const ORCA_FORMAT = 'TEXT'

/** What a report tells of a worker; what is absent was not told. */
export interface OrcaLoad {
  readonly running?: number
  readonly waiting?: number
  /** 0 to 1. */
  readonly kvUsage?: number
  readonly kvCapacityTokens?: number
}

/** Longer ones are none of ours: a hostile worker must not cost us time. */
const MAX_LENGTH = 4096

type Told = Map<string, number[]>

/**
 * Reads a report: `TEXT named_metrics.kv_cache_usage_perc=0.4, …` or `JSON {"named_metrics": {…}}` (the prefix may be missing, as
 * in the specification's older drafts). Names are vLLM's and Triton's. null when it tells nothing that we know, is
 * malformed, or is binary (`BIN …`, which no engine sends).
 */
export function readOrca(header: string): OrcaLoad | null {
  if (header.length > MAX_LENGTH) return null
  const [, format, rest] = /^(?:(TEXT|JSON|BIN)\s+)?(.*)$/is.exec(header.trim()) as unknown as [
    string,
    string | undefined,
    string,
  ]
  if (format?.toUpperCase() === 'BIN') return null
  const isJson = format === undefined ? rest.startsWith('{') : format.toUpperCase() === 'JSON'
  const told = isJson ? toldInJson(rest) : toldInText(rest)
  return told && loadOf(told)
}

function loadOf(told: Told): OrcaLoad | null {
  const running = told.get('num_requests_running')
  const waiting = told.get('num_requests_waiting')
  const usage = told.get('kv_cache_usage_perc') ?? told.get('kv_cache_utilization')
  const capacity = told.get('max_token_capacity')
  if (!running && !waiting && !usage && !capacity) return null
  return {
    ...(running && { running: sum(running) }),
    ...(waiting && { waiting: sum(waiting) }),
    ...(usage && { kvUsage: Math.min(1, mean(usage)) }),
    ...(capacity && sum(capacity) > 0 && { kvCapacityTokens: sum(capacity) }),
  }
}

function toldInText(text: string): Told | null {
  const told: Told = new Map()
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    if (at < 0) return null
    const name = part.slice(0, at).trim()
    const value = part.slice(at + 1).trim()
    if (name.startsWith(PREFIX) && value !== '') note(told, name.slice(PREFIX.length), Number(value))
  }
  return told
}

const PREFIX = 'named_metrics.'

function toldInJson(text: string): Told | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  const named = (value as { named_metrics?: unknown } | null)?.named_metrics
  if (typeof named !== 'object' || named === null) return null
  const told: Told = new Map()
  for (const [name, one] of Object.entries(named)) note(told, name, one)
  return told
}

/** Negative numbers and what is none say nothing; they would make a worker look idle. */
function note(told: Told, name: string, value: unknown): void {
  if (typeof value !== 'number' || value < 0 || !Number.isFinite(value)) return
  const values = told.get(name)
  if (values) values.push(value)
  else told.set(name, [value])
}
