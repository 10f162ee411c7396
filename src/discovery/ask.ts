// Small questions to a worker (health, models, versions): bounded in time and size, never throwing.
import type { Host, WorkerRef } from '../host.ts'

const MAX_REPLY = 4 * 1024 * 1024

export interface Reply {
  readonly status: number
  readonly headers: Record<string, string>
  readonly text: string
}

/** What came of a question: an answer, or why there is none. */
export type Asked = Reply | { readonly status: 0; readonly timedOut: boolean; readonly reason: string }

/** Headers for requests that the router itself makes to a worker. */
function ownHeaders(worker: WorkerRef): string[] {
  const headers = [
    'accept',
    'application/json, text/plain, */*',
    'accept-encoding',
    'identity',
    'user-agent',
    'fetchway',
  ]
  const key = worker.apiKey ?? worker.probeKey
  if (key !== undefined) headers.push('authorization', `Bearer ${key}`)
  for (const [name, value] of Object.entries(worker.headers ?? {})) headers.push(name.toLowerCase(), value)
  return headers
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** JSON text, or bytes. */
  readonly body?: string | Uint8Array
  /** Content type of the body; none: JSON. */
  readonly type?: string
  /** Milliseconds for the whole answer. */
  readonly timeout: number
}

/** Asks one worker one thing. Never throws: a worker that does not answer is `{status: 0}`. */
export async function askWorker(
  host: Pick<Host, 'fetch' | 'timer'>,
  worker: WorkerRef,
  question: Question,
): Promise<Asked> {
  const abort = new AbortController()
  let timedOut = false
  const cancel = host.timer(question.timeout, () => {
    timedOut = true
    abort.abort()
  })
  try {
    const headers = ownHeaders(worker)
    if (question.body !== undefined) headers.push('content-type', question.type ?? 'application/json')
    const upstream = await host.fetch(worker, {
      method: question.method,
      path: question.path,
      headers,
      body: bytesOf(question.body),
      connectTimeout: question.timeout,
      signal: abort.signal,
    })
    const text = new TextDecoder().decode(await upstream.bytes(MAX_REPLY))
    return { status: upstream.status, headers: record(upstream.headers), text }
  } catch (error) {
    return { status: 0, timedOut, reason: error instanceof Error ? error.message : String(error) }
  } finally {
    cancel()
  }
}

function bytesOf(body: Question['body']): Uint8Array[] | null {
  if (body === undefined) return null
  return [typeof body === 'string' ? new TextEncoder().encode(body) : body]
}

function record(headers: readonly string[]): Record<string, string> {
  const entries: Record<string, string> = {}
  for (let i = 0; i < headers.length; i += 2)
    entries[(headers[i] as string).toLowerCase()] = headers[i + 1] as string
  return entries
}
