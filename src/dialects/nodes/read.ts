// Reads the bodies of /nodes/*: `{"url": …, "status"?: {…}}`, with pydantic's words for what is wrong.
import { Unprocessable, type Finding } from '../python/fastapi.ts'
import { roleOf, type GivenStatus } from './status.ts'

export interface GivenNode {
  readonly url: string
  /** Null: none was given. */
  readonly status: GivenStatus | null
}

/** Throws `Unprocessable`. The URL may also come as `?node_url=…` (or `?url=…`) without a body. */
export async function readNode(request: Request): Promise<GivenNode> {
  const query = new URL(request.url).searchParams
  const named = query.get('node_url') ?? query.get('url')
  const text = await request.text()
  if (text === '' && named !== null) return { url: named, status: null }
  if (text === '') throw missing(['body'], null)
  const body = parsed(text)
  const { url, status = null } = body as { url?: unknown; status?: unknown }
  if (url === undefined) throw missing(['body', 'url'], body)
  if (typeof url !== 'string')
    throw wrong('string_type', ['body', 'url'], 'Input should be a valid string', url)
  if (status === null) return { url, status: null }
  if (typeof status !== 'object' || Array.isArray(status))
    throw wrong('model_attributes_type', ['body', 'status'], OBJECT, status)
  const findings = findingsOf(status)
  if (findings.length > 0) throw new Unprocessable(findings)
  return { url, status }
}

const OBJECT = `Input should be a valid dictionary or object to extract fields from`

function parsed(text: string): object {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (error) {
    const ctx = { error: error instanceof Error ? error.message : String(error) }
    throw new Unprocessable([
      { type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error', input: {}, ctx },
    ])
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  throw wrong('model_attributes_type', ['body'], OBJECT, body)
}

function findingsOf({ role, models, speed, unfinished, latency }: GivenStatus): Finding[] {
  const findings: Finding[] = []
  if (roleOf(role) === null)
    findings.push({
      type: 'enum',
      loc: ['body', 'status', 'role'],
      msg: 'Input should be 1, 2 or 3',
      input: role,
      ctx: { expected: '1, 2 or 3' },
    })
  const areNames = Array.isArray(models) && models.every((name) => typeof name === 'string')
  if (models !== undefined && models !== null && !areNames)
    findings.push({
      type: 'list_type',
      loc: ['body', 'status', 'models'],
      msg: 'Input should be a valid list',
      input: models,
    })
  if (speed !== undefined && speed !== null && typeof speed !== 'number')
    findings.push({
      type: 'float_type',
      loc: ['body', 'status', 'speed'],
      msg: 'Input should be a valid number',
      input: speed,
    })
  if (unfinished !== undefined && !Number.isInteger(unfinished))
    findings.push({
      type: 'int_type',
      loc: ['body', 'status', 'unfinished'],
      msg: 'Input should be a valid integer',
      input: unfinished,
    })
  const areTimes = Array.isArray(latency) && latency.every((time) => typeof time === 'number')
  if (latency !== undefined && !areTimes)
    findings.push({
      type: 'deque_type',
      loc: ['body', 'status', 'latency'],
      msg: 'Input should be a valid deque',
      input: latency,
    })
  return findings
}

const missing = (loc: readonly string[], input: unknown) =>
  new Unprocessable([{ type: 'missing', loc, msg: 'Field required', input }])

const wrong = (type: string, loc: readonly string[], msg: string, input: unknown) =>
  new Unprocessable([{ type, loc, msg, input }])
