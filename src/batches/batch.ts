// A batch as the API tells of it, and what a client asks for when it makes one.
import type { RefusalValue } from '../actors/ask.ts'
import { parseDuration } from '../config/units.ts'
import { quoted } from '../openai/errors.ts'
import { refusal } from './files.ts'
import { isObject, type LineError } from './jsonl.ts'
import type { Row } from './tables.ts'

export type BatchStatus =
  | 'validating'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'failed'
  | 'expired'
  | 'cancelling'
  | 'cancelled'

/** What is asked for. */
export interface BatchSpec {
  readonly endpoint: string
  readonly input_file_id: string
  /** As it was asked for. */
  readonly completion_window: string
  readonly metadata: Readonly<Record<string, string>> | null
}

/** A spec, with what it means. */
export interface BatchRequest {
  readonly spec: BatchSpec
  /** Until it expires, ms. */
  readonly window: number
  /** Seconds that its output is kept; absent: as configured. */
  readonly outputSeconds?: number
}

/** Times are seconds. */
export interface BatchObject extends BatchSpec {
  readonly id: string
  readonly object: 'batch'
  readonly status: BatchStatus
  readonly errors: { readonly object: 'list'; readonly data: readonly LineError[] } | null
  readonly output_file_id: string | null
  readonly error_file_id: string | null
  readonly created_at: number
  readonly in_progress_at: number | null
  readonly expires_at: number
  readonly finalizing_at: number | null
  readonly completed_at: number | null
  readonly failed_at: number | null
  readonly expired_at: number | null
  readonly cancelling_at: number | null
  readonly cancelled_at: number | null
  readonly request_counts: { readonly total: number; readonly completed: number; readonly failed: number }
}

/** Where the lines of a batch may go. */
export const ENDPOINTS = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses']

/** The batches that are not over, as SQL. */
export const ACTIVE = `status IN ('validating', 'in_progress', 'finalizing', 'cancelling')`

/** Reads the body of POST /v1/batches. `window`: what is taken where none is asked for. */
export function readBatch(body: unknown, window?: string): BatchRequest | RefusalValue {
  if (!isObject(body)) return bad('invalid_json', 'The request body must be a JSON object.')
  const { input_file_id: input, endpoint, completion_window = window, metadata = null } = body
  if (typeof input !== 'string') return missing('input_file_id')
  if (typeof endpoint !== 'string') return missing('endpoint')
  if (!ENDPOINTS.includes(endpoint))
    return bad(
      'invalid_endpoint',
      `endpoint must be one of ${ENDPOINTS.join(', ')}, not ${quoted(endpoint)}.`,
    )
  if (typeof completion_window !== 'string') return missing('completion_window')
  const lasts = completion_window === window ? DAY : (parseDuration(completion_window) ?? 0)
  if (lasts < 1000 || lasts > 30 * DAY)
    return bad(
      'invalid_completion_window',
      `completion_window must be like "24h", not ${quoted(completion_window)}.`,
    )
  if (metadata !== null && !isMetadata(metadata))
    return bad('invalid_metadata', 'metadata must be 16 texts at most, of 512 characters, under names of 64.')
  const seconds = secondsOf(body['output_expires_after'])
  if (seconds === null)
    return bad(
      'invalid_expiry',
      'output_expires_after needs the anchor created_at and seconds from 3600 to 2592000.',
    )
  const spec = { endpoint, input_file_id: input, completion_window, metadata }
  return { spec, window: lasts, ...(seconds > 0 && { outputSeconds: seconds }) }
}

const DAY = 86_400_000

/** Seconds of an expiry as asked for; 0: none was, null: it is wrong. */
export function secondsOf(asked: unknown): number | null {
  if (asked === undefined || asked === null) return 0
  if (!isObject(asked) || asked['anchor'] !== 'created_at') return null
  const seconds = Number(asked['seconds'])
  return Number.isInteger(seconds) && seconds >= 3600 && seconds <= 2_592_000 ? seconds : null
}

function isMetadata(value: unknown): value is Record<string, string> {
  if (!isObject(value)) return false
  const entries = Object.entries(value)
  const isFit = ([name, text]: [string, unknown]) =>
    name.length <= 64 && typeof text === 'string' && text.length <= 512
  return entries.length <= 16 && entries.every(isFit)
}

const bad = (code: string, message: string) => refusal(400, code, message)
const missing = (name: string) => bad('missing_required_parameter', `Missing required parameter: '${name}'.`)

/** The batch of a row. */
export function batchOf(row: Row): BatchObject {
  const { total, completed, failed } = row as unknown as BatchObject['request_counts']
  return {
    id: row['id'] as string,
    object: 'batch',
    errors: null,
    output_file_id: null,
    error_file_id: null,
    in_progress_at: null,
    finalizing_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: null,
    ...(JSON.parse(row['told'] as string) as BatchSpec & Pick<BatchObject, 'created_at' | 'expires_at'>),
    status: row['status'] as BatchStatus,
    request_counts: { total, completed, failed },
  }
}
