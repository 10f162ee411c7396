// The first generation of worker management: by URL, and a worker that is added has come up when the answer comes.
import type { WorkerView } from '../../actors/members.ts'
import type { WorkerSpec } from '../../config/schema.ts'
import { normalizeUrl } from '../../config/urls.ts'
import type { Core } from '../../core.ts'
import { json } from '../../routes/reply.ts'
import { missingQuery, plain } from './answers.ts'
import { baseOf, fleetOf } from './fleet.ts'
import { specOf, type Joining } from './joining.ts'

/** POST /add_worker?url=U[&api_key=K] */
export async function addByUrl(core: Core, request: Request, joining: Joining): Promise<Response> {
  const query = new URL(request.url).searchParams
  const url = query.get('url')
  if (url === null) return missingQuery('url')
  const apiKey = query.get('api_key')
  const spec = specOf({ url, ...(apiKey && { apiKey }) })
  if (typeof spec === 'string') return plain(400, `Invalid worker: ${spec}`)
  const problem = await added(core, request, spec, joining)
  return problem === null ? plain(200, `Successfully added worker: ${url}`) : plain(400, problem)
}

/** Adds a worker once it is well; what is wrong, or null. */
export async function added(
  core: Core,
  request: Request,
  spec: WorkerSpec,
  joining: Joining,
): Promise<string | null> {
  if (await isThere(core, spec.url, joining)) return `Worker ${spec.url} already exists`
  const problem = await joining.join(core, spec, request.signal)
  return problem === null ? null : `Worker ${spec.url} ${problem}`
}

/** It is a worker, or is about to be. */
export async function isThere(core: Core, url: string, joining: Joining): Promise<boolean> {
  return joining.isJoining(url) || (await rowsOf(core, url)).length > 0
}

/** What the registry shows of a server: itself, or its ranks. */
async function rowsOf({ host }: Core, url: string): Promise<WorkerView[]> {
  return (await host.registry('main').list()).filter((worker) => baseOf(worker.url) === url)
}

/** POST /remove_worker?url=U: all its ranks, too. `isLenient`: one that is not there is removed as well. */
export async function removeByUrl(
  core: Core,
  request: Request,
  { joining, isLenient }: { readonly joining: Joining; readonly isLenient: boolean },
): Promise<Response> {
  const url = new URL(request.url).searchParams.get('url')
  if (url === null) return missingQuery('url')
  const isGone = await removed(core, url, joining)
  return isGone || isLenient
    ? plain(200, `Successfully removed worker: ${url}`)
    : plain(404, `Worker ${url} not found`)
}

/** Takes a worker out by its URL; whether there was one. */
export async function removed(core: Core, written: string, joining: Joining): Promise<boolean> {
  const url = normalized(written)
  const isJoining = joining.isJoining(url)
  joining.drop(url)
  const rows = await rowsOf(core, url)
  const [first] = rows
  if (!first) return isJoining
  await core.host.registry('main').remove(first.id)
  for (const { id } of rows) core.instruments.forget(id)
  return true
}

/** GET /list_workers */
export async function listUrls(core: Core): Promise<Response> {
  return json({ urls: (await fleetOf(core)).map(({ url }) => url) })
}

/** As workers are known by, without a rank; what is no URL stays as it is. */
export function normalized(written: string): string {
  try {
    return normalizeUrl(baseOf(written))
  } catch {
    // Nobody is known by it.
    return written
  }
}
