// Speaks to a Kubernetes API server: lists in pages, and watches as lines of JSON.
import type { Access } from './credentials.ts'
import type { KubeObject, ObjectList, WatchEvent } from './objects.ts'

/** Objects in one answer: large fleets come in pages. */
const PAGE = 500
/** More than any object may measure (etcd takes 1.5 MiB). */
const MAX_LINE = 16 * 1024 * 1024
const MAX_PROBLEM = 64 * 1024

/** The server refused, in its own words where it has some. */
export class ApiError extends Error {
  readonly status: number
  /** Milliseconds that the server asks to wait; 0: it does not say. */
  readonly retryAfter: number
  constructor(status: number, message: string, retryAfter = 0) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** Which objects: a path like `/api/v1/namespaces/default/pods`, and the selector that the server filters by (empty: none). */
export interface Resource {
  readonly path: string
  readonly selector: string
}

export interface Listed<T> {
  /** Where a watch goes on; empty: the server did not say. */
  readonly version: string
  readonly items: readonly T[]
}

export interface WatchFrom {
  readonly version: string
  /** After so many seconds the server ends the watch by itself. */
  readonly seconds: number
}

export class KubeApi {
  readonly #access: Access
  constructor(access: Access) {
    this.#access = access
  }

  /**
   * All objects as they are now: a consistent read, not one of a cache.
   * @param isPaged false: in one answer, for a server whose pages expired while they were read
   * @throws ApiError when the server refuses; whatever the connection fails with
   */
  async list<T extends KubeObject>(
    resource: Resource,
    signal: AbortSignal,
    isPaged = true,
  ): Promise<Listed<T>> {
    const items: T[] = []
    let version = ''
    let next = ''
    do {
      const query = { ...(isPaged && { limit: String(PAGE) }), ...(next !== '' && { continue: next }) }
      const response = await this.#get(resource, query, signal)
      const page = (await response.json()) as ObjectList<T>
      if (typeof page !== 'object' || page === null || !Array.isArray(page.items ?? []))
        throw new ApiError(response.status, 'the answer is no list of objects')
      items.push(...(page.items ?? []))
      version = page.metadata?.resourceVersion ?? ''
      next = page.metadata?.continue ?? ''
    } while (next !== '')
    return { version, items }
  }

  /**
   * Changes since a version, as they come, bookmarks included. Ends when the server ends it.
   * @param heard is told of each piece that comes, whatever is in it
   * @throws ApiError as `list`
   */
  async *watch(
    resource: Resource,
    { version, seconds }: WatchFrom,
    { signal, heard }: { readonly signal: AbortSignal; readonly heard: () => void },
  ): AsyncGenerator<WatchEvent> {
    const query = {
      watch: '1',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(seconds),
      ...(version !== '' && { resourceVersion: version }),
    }
    const response = await this.#get(resource, query, signal)
    heard()
    if (response.body) yield* jsonLines(response.body, heard)
  }

  async #get(
    { path, selector }: Resource,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    const parameters = new URLSearchParams(query)
    if (selector !== '') parameters.set('labelSelector', selector)
    const text = parameters.toString()
    const response = await this.#access.get(text === '' ? path : `${path}?${text}`, signal)
    if (response.status === 200) return response
    throw new ApiError(response.status, await problemOf(response, path), retryAfterOf(response))
  }
}

async function problemOf(response: Response, path: string): Promise<string> {
  const text = (await response.text().catch(() => '')).slice(0, MAX_PROBLEM)
  const said = messageIn(text)
  const { status } = response
  const hint =
    status === 401
      ? ': its token is not accepted'
      : status === 403
        ? ': the service account must be allowed to get, list and watch it (deploy/kubernetes/base/rbac.yaml)'
        : ''
  return `GET ${path} was answered with ${status}${said === '' ? '' : ` (${said})`}${hint}`
}

function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message.slice(0, 500) : ''
  } catch {
    return '' // a proxy's page, not the server's Status
  }
}

const retryAfterOf = ({ headers }: Response): number => {
  const seconds = Number(headers.get('retry-after') ?? 0)
  return seconds > 0 ? seconds * 1000 : 0
}

/** Null for the half of a line that a cut connection leaves: the next list tells what was in it. */
function parsed(text: string): WatchEvent | null {
  try {
    return JSON.parse(text) as WatchEvent
  } catch {
    return null
  }
}

/** The values of a stream of JSON lines. @throws Error for a line that is no JSON, or endless. */
export async function* jsonLines(
  body: ReadableStream<Uint8Array>,
  heard: () => void = () => {},
): AsyncGenerator<WatchEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      heard()
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MAX_LINE) throw new Error('a line of the watch does not end')
      for (const line of lines.filter((one) => one.trim() !== '')) yield JSON.parse(line) as WatchEvent
    }
    const last = rest.trim() === '' ? null : parsed(rest)
    if (last) yield last
  } finally {
    // Ends the request when nobody reads on; it may have ended by itself.
    await reader.cancel().catch(() => {})
  }
}
