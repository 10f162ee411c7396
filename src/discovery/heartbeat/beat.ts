// What a worker tells of itself with a heartbeat: the forms of vLLM's P2P/NCCL and MoRI-IO connectors, and plain words for others.
import { workerSchema, type WorkerSpec } from '../../config/schema.ts'
import { normalizeUrl } from '../../config/urls.ts'

/** A heartbeat that could be read. */
export interface Beat {
  readonly spec: WorkerSpec
  /** What it carries to be let in; null: nothing. */
  readonly token: string | null
}

const ROLES: Readonly<Record<string, WorkerSpec['role']>> = {
  p: 'prefill',
  d: 'decode',
  m: 'mixed',
  prefill: 'prefill',
  decode: 'decode',
  mixed: 'mixed',
}

/**
 * Reads a heartbeat. `type` (or `role`, where `type` is `register`) is P, D or M; `http_address` (MoRI-IO: `request_address`, a URL
 * with a path) where it serves; `zmq_address` where its KV connector is met. MoRI-IO adds `transfer_mode`, `tp_size`, `dp_size`.
 * `models`, `engine`, `weight`, `ranks`, `bootstrap_port` and `token` are ours. All else is passed over.
 * @param needsAddress of a prefill or decode worker: `zmq_address` must be there, unless it is MoRI-IO's or SGLang's
 * @throws Error that says what is wrong with it
 */
export function readBeat(value: unknown, needsAddress: boolean): Beat {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('it is no map of names and values')
  const fields = value as Readonly<Record<string, unknown>>
  const role = roleOf(fields)
  const mode = textOf(fields, 'transfer_mode')
  const zmq = textOf(fields, 'zmq_address')
  const hasOther = textOf(fields, 'engine') === 'sglang' || fields['bootstrap_port'] !== undefined
  if (needsAddress && role !== 'mixed' && zmq === null && mode === null && !hasOther)
    throw new Error('zmq_address is missing: HOST:PORT of its KV connector')
  const given = {
    url: addressOf(fields),
    role,
    ...(zmq !== null && { kvAddress: zmq.replace(/^tcp:\/\//, '') }),
    ...(mode !== null && {
      transfer: { mode: mode.toUpperCase(), tpSize: fields['tp_size'], dpSize: fields['dp_size'] },
    }),
    ...pick(fields, { models: 'models', engine: 'engine', weight: 'weight', ranks: 'ranks' }),
    ...pick(fields, { bootstrap_port: 'bootstrapPort' }),
  }
  const parsed = workerSchema.safeParse(given)
  if (parsed.success) return { spec: parsed.data, token: textOf(fields, 'token') }
  throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '))
}

function roleOf(fields: Readonly<Record<string, unknown>>): WorkerSpec['role'] {
  const { type = fields['role'] } = fields
  const named = type === 'register' ? fields['role'] : type
  const role = typeof named === 'string' ? ROLES[named.toLowerCase()] : undefined
  if (role === undefined) throw new Error(`type must be P or D, got ${shown(named)}`)
  return role
}

/** The origin: where MoRI-IO serves, it tells with a path. */
function addressOf(fields: Readonly<Record<string, unknown>>): string {
  const request = textOf(fields, 'request_address')
  const text = textOf(fields, 'http_address') ?? request
  if (text === null) throw new Error('http_address is missing: HOST:PORT where it serves')
  const url = normalizeUrl(text.replace(/\/v1\/(?:chat\/)?completions\/?$/, ''))
  if (!/^https?:/.test(url)) throw new Error(`http_address must be HOST:PORT, got ${shown(text)}`)
  return url
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = fields[name]
  if (value === undefined || value === null || value === '') return null
  if (typeof value !== 'string') throw new Error(`${name} must be a text, got ${shown(value)}`)
  return value
}

/** The fields that are there, under their names in a worker's configuration. */
function pick(
  fields: Readonly<Record<string, unknown>>,
  names: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const there = Object.entries(names).filter(([name]) => fields[name] !== undefined && fields[name] !== null)
  return Object.fromEntries(there.map(([name, key]) => [key, fields[name]]))
}

/** The beginning of what a stranger sent. */
const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 80)
