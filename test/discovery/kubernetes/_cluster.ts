// An API server by script: pods, services and endpoints that tests put and take, and the faults that real ones have.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Outside } from '../../../src/host.ts'
import { matches, parseSelector } from '../../../src/discovery/kubernetes/labels.ts'
import type { KubeObject, Pod } from '../../../src/discovery/kubernetes/objects.ts'

type Kind = 'pods' | 'services' | 'endpoints'
type Written = KubeObject & { readonly metadata: { readonly resourceVersion: string } }

interface Watching {
  readonly kind: Kind
  readonly selector: string
  send(line: object): void
  end(): void
}

/** What was asked of the server. */
export interface Asked {
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | null
}

export class Cluster {
  readonly asked: Asked[] = []
  /** Watches get no events and no bookmarks any more, and stay open. */
  isSilent = false
  /** Events of these types are lost. */
  readonly lost = new Set<string>()
  /** Requests are refused with this status, while it is set. */
  refusal: number | null = null
  /** The only token that is let in; null: anybody. */
  token: string | null = null
  /** Watches from before this version get 410. */
  oldest = 0
  /** Objects in a page, when pages are asked for. */
  pageSize = Infinity
  /** What a list began with is gone before its second page. */
  forgetsPages = false
  /** Lists are made up at once and answered when this has resolved. */
  held: Promise<void> | null = null
  /** How a watch that is too old is told: by the answer's status, or by an event. */
  goneBy: 'status' | 'event' = 'event'
  #version = 100
  readonly #objects = new Map<string, { readonly kind: Kind; object: Written }>()
  readonly #watching = new Set<Watching>()

  get watches(): number {
    return this.#watching.size
  }
  get version(): number {
    return this.#version
  }

  /** Adds or changes an object, and tells whoever watches. */
  put(kind: Kind, object: KubeObject): void {
    const id = `${kind}/${object.metadata?.uid}`
    const before = this.#objects.get(id)?.object
    const written = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.#version) },
    }
    this.#objects.set(id, { kind, object: written })
    for (const watching of this.#watching) {
      if (watching.kind !== kind) continue
      const [was, is] = [before && fits(before, watching.selector), fits(written, watching.selector)]
      if (is) this.#tell(watching, was ? 'MODIFIED' : 'ADDED', written)
      else if (was) this.#tell(watching, 'DELETED', written)
    }
  }

  remove(kind: Kind, uid: string): void {
    const gone = this.#objects.get(`${kind}/${uid}`)?.object
    if (!gone) throw new Error(`there is no ${uid}`)
    this.#objects.delete(`${kind}/${uid}`)
    const last = { ...gone, metadata: { ...gone.metadata, resourceVersion: String(++this.#version) } }
    for (const watching of this.#watching)
      if (watching.kind === kind && fits(gone, watching.selector)) this.#tell(watching, 'DELETED', last)
  }

  /** Tells all watches how far they are, as servers do each minute. */
  bookmark(): void {
    const object = { metadata: { resourceVersion: String(this.#version) } }
    for (const watching of this.#watching) if (!this.isSilent) watching.send({ type: 'BOOKMARK', object })
  }

  /** Ends all watches as a server does after `timeoutSeconds`. */
  endWatches(): void {
    for (const watching of this.#watching) watching.end()
    this.#watching.clear()
  }

  /** Answers a GET. */
  answer(url: URL, authorization: string | null, signal: AbortSignal): Response {
    const { searchParams: query } = url
    this.asked.push({ path: url.pathname, query, authorization })
    if (this.refusal !== null) return status(this.refusal, 'it is told to refuse')
    if (this.token !== null && authorization !== `Bearer ${this.token}`) return status(401, 'Unauthorized')
    const kind = url.pathname.split('/').at(-1) as Kind
    const selector = query.get('labelSelector') ?? ''
    return query.has('watch') ? this.#watch(kind, query, signal) : this.#list(kind, selector, query)
  }

  /** The server as a host lends it. */
  outside(env: Readonly<Record<string, string>> = {}, files: Readonly<Record<string, string>> = {}): Outside {
    return {
      fetch: async (url, { headers, signal }) => {
        const answer = this.answer(new URL(url), headers['authorization'] ?? null, signal)
        if (!url.includes('watch=')) await this.held
        return answer
      },
      env: (name) => env[name],
      files: {
        read: async (path) => files[path] ?? Promise.reject(new Error(`no such file: ${path}`)),
        parseYaml: async (text) => JSON.parse(text) as unknown,
      },
    }
  }

  #list(kind: Kind, selector: string, query: URLSearchParams): Response {
    const all = [...this.#objects.values()]
      .filter((one) => one.kind === kind && fits(one.object, selector))
      .map(({ object }) => object)
    const from = Number(query.get('continue') ?? 0)
    const limit = query.has('limit') ? Math.min(Number(query.get('limit')), this.pageSize) : Infinity
    if (from > 0 && this.forgetsPages) return status(410, 'the continue token is too old')
    const next = from + limit < all.length ? { continue: String(from + limit) } : {}
    const metadata = { resourceVersion: String(this.#version), ...next }
    return Response.json({ kind: 'List', metadata, items: all.slice(from, from + limit) })
  }

  #watch(kind: Kind, query: URLSearchParams, signal: AbortSignal): Response {
    const selector = query.get('labelSelector') ?? ''
    const from = Number(query.get('resourceVersion') ?? 0)
    const isGone = from < this.oldest
    if (isGone && this.goneBy === 'status') return status(410, 'too old resource version')
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const send = (line: object) =>
      void writer.write(new TextEncoder().encode(`${JSON.stringify(line)}\n`)).catch(() => {})
    const end = () => void writer.close().catch(() => {})
    if (isGone) {
      send({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } })
      end()
      return new Response(readable)
    }
    const watching = { kind, selector, send, end }
    this.#watching.add(watching)
    signal.addEventListener('abort', () => {
      this.#watching.delete(watching)
      void writer.abort(new Error('aborted')).catch(() => {})
    })
    for (const { kind: other, object } of this.#objects.values()) {
      const isNew = Number(object.metadata.resourceVersion) > from
      if (other === kind && isNew && fits(object, selector)) this.#tell(watching, 'ADDED', object)
    }
    return new Response(readable)
  }

  #tell(watching: Watching, type: string, object: Written): void {
    if (!this.isSilent && !this.lost.has(type)) watching.send({ type, object })
  }
}

const fits = (object: KubeObject, selector: string): boolean =>
  selector === '' || matches(parseSelector(selector), object.metadata?.labels)

const status = (code: number, message: string): Response =>
  Response.json({ kind: 'Status', status: 'Failure', code, message }, { status: code })

export interface PodOptions {
  readonly name?: string
  readonly ip?: string
  readonly port?: number
  readonly isReady?: boolean
  readonly phase?: string
  readonly isTerminating?: boolean
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly namespace?: string
}

/** A pod as the API tells it; ready unless said otherwise. */
export function pod(uid: string, options: PodOptions = {}): Pod {
  const {
    name = uid,
    ip = '10.0.0.1',
    port,
    isReady = true,
    phase = 'Running',
    namespace = 'models',
  } = options
  const ports = port === undefined ? {} : { ports: [{ name: 'http', containerPort: port }] }
  return {
    metadata: {
      name,
      namespace,
      uid,
      labels: options.labels ?? { app: 'engine' },
      ...(options.annotations && { annotations: options.annotations }),
      ...(options.isTerminating && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'engine', ...ports }] },
    status: {
      phase,
      ...(ip !== '' && { podIP: ip }),
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
      containerStatuses: [{ ready: isReady }],
    },
  }
}

/** Serves a cluster by HTTP (or HTTPS) on a free port. */
export async function listen(
  cluster: Cluster,
  tls?: { readonly cert: string; readonly key: string },
): Promise<{ readonly url: string; close(): void }> {
  const handle = (request: IncomingMessage, response: ServerResponse) => void pass(cluster, request, response)
  const server: Server = tls ? createTlsServer(tls, handle) : createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, close }
}

async function pass(cluster: Cluster, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const abort = new AbortController()
  response.on('close', () => abort.abort())
  const url = new URL(request.url ?? '/', 'http://cluster')
  const answer = cluster.answer(url, request.headers.authorization ?? null, abort.signal)
  response.writeHead(answer.status, { 'content-type': 'application/json' })
  response.flushHeaders()
  try {
    for await (const chunk of answer.body ?? []) response.write(chunk)
    response.end()
  } catch {
    response.destroy() // the router went away
  }
}
