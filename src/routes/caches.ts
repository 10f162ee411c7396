// What engines are told of their KV caches through the router: flush, sleep, wake, new weights. The pool then knows that they are empty.
import { serverIdOf } from '../actors/ranks.ts'
import type { Core } from '../core.ts'
import { askWorker, type Asked } from '../discovery/ask.ts'
import { engineOf, engines } from '../engines/engine.ts'
import type { WorkerRef } from '../host.ts'
import { pathname, pathOf } from '../openai/target.ts'
import { Refusal } from '../openai/errors.ts'
import { json } from './reply.ts'

/** Weights may take minutes to load where nothing bounds an answer. */
const LONGEST = 600_000

/** Paths by which an engine empties its cache, or begins with an empty one. */
export const cachePaths: readonly string[] = [...new Set(engines.flatMap((engine) => engine.cacheClearing))]

/** Sends it to the workers whose engines have that path, or to the one that `?worker=` names. */
export async function tellEngines(core: Core, request: Request): Promise<Response> {
  const url = new URL(request.url)
  const only = url.searchParams.get('worker')
  url.searchParams.delete('worker')
  const path = pathname(pathOf(request.url)).replace(/^\/fetchway\/v1/, '')
  const body = await request.text()
  const workers = (await core.host.registry('main').members(0))?.members.map(({ ref }) => ref) ?? []
  const told = serversOf(workers, (worker) => (only === null ? hasPath(worker, path) : isMeant(worker, only)))
  if (told.size === 0) throw nobody(path, only)
  const timeout = core.config.firstTokenTimeout || LONGEST
  const question = { method: 'POST', path: path + url.search, timeout, ...(body !== '' && { body }) } as const
  const results = await Promise.all([...told].map(([id, ranks]) => tell(core, { id, ranks }, question)))
  const isDone = results.every(({ status }) => status >= 200 && status <= 299)
  return json({ object: 'list', data: results }, isDone ? 200 : 502)
}

/** A server with the workers that it is: itself, or its ranks. */
interface Server {
  readonly id: string
  readonly ranks: readonly WorkerRef[]
}

/** A server is told once for all of its ranks. */
function serversOf(
  workers: readonly WorkerRef[],
  isTold: (worker: WorkerRef) => boolean,
): Map<string, WorkerRef[]> {
  return Map.groupBy(workers.filter(isTold), ({ id }) => serverIdOf(id))
}

/** The whole server is meant, too, by any of its ranks. */
const isMeant = ({ id }: WorkerRef, only: string): boolean => serverIdOf(id) === serverIdOf(only)

async function tell({ host }: Core, { id, ranks }: Server, question: Parameters<typeof askWorker>[2]) {
  const asked = await askWorker(host, ranks[0] as WorkerRef, question)
  // Whatever it said: that too little is known costs less than that too much is believed.
  for (const { id: rank } of ranks) await host.pool('main').forget(rank)
  return { worker: id, status: asked.status, body: bodyOf(asked) }
}

/** JSON where it is, else the text; null when no answer came. */
function bodyOf(asked: Asked): unknown {
  if (asked.status === 0 || !('text' in asked)) return null
  try {
    return JSON.parse(asked.text)
  } catch {
    // Engines say it in plain words, too.
    return asked.text
  }
}

/** An engine that nobody knows may have it. */
const hasPath = ({ engine }: WorkerRef, path: string): boolean =>
  engineOf(engine)?.cacheClearing.includes(path) ?? true

const nobody = (path: string, only: string | null): Refusal =>
  only === null
    ? new Refusal(404, 'not_found', `No worker here has an engine with POST ${path}.`)
    : new Refusal(404, 'worker_not_found', `There is no worker ${only}: GET /fetchway/v1/workers lists them.`)
