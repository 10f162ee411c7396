// Small GETs that one worker answers in the router's place.
import type { Core } from '../../core.ts'
import { askWorker } from '../../discovery/ask.ts'
import { firstHealthy, fleetOf } from './fleet.ts'

/** Milliseconds for the whole answer: a generation may be part of it. */
const PATIENCE = 30_000

/**
 * The answer of the first healthy worker to the first of the paths that it has; null: no worker is healthy, `unreachable`: it
 * does not answer.
 */
export async function askFirst(
  core: Core,
  paths: readonly string[],
): Promise<Response | 'unreachable' | null> {
  const worker = firstHealthy(await fleetOf(core))
  if (!worker) return null
  let found: Response | 'unreachable' = 'unreachable'
  for (const path of paths) {
    const reply = await askWorker(core.host, worker.ref, { method: 'GET', path, timeout: PATIENCE })
    if (!('text' in reply)) return 'unreachable'
    const { status, text, headers } = reply
    const type = headers['content-type']
    found = new Response(text, { status, headers: type === undefined ? {} : { 'content-type': type } })
    if (status !== 404) return found
  }
  return found
}
