// The file in which DLRouter and LMDeploy's proxy keep their nodes: `{url: "<status as JSON text>"}`.
import type { StoredWorker } from '../../actors/stored-workers.ts'
import { pythonJson } from '../python/text.ts'
import { baseOf, specOf, statusOf, type GivenStatus } from './status.ts'

/** The key under which the registry stores its workers. */
const KEY = 'main/workers'

/** `source` is ours: nodes of the command line are in the file, and come from the command line all the same. */
type Written = GivenStatus & { readonly source?: 'flag' }

/** Reads a file's JSON as what the registry stored. `url@rank` entries of one server are one worker. Throws where it is no such file. */
export function readNodeFile(parsed: unknown): Map<string, unknown> {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new TypeError('it holds no nodes')
  const entries = Object.entries(parsed)
  const ranks = new Map<string, number>()
  for (const [url] of entries) ranks.set(baseOf(url), (ranks.get(baseOf(url)) ?? 0) + 1)
  const stored: StoredWorker[] = []
  const seen = new Set<string>()
  for (const [url, written] of entries) {
    const base = baseOf(url)
    if (seen.has(base)) continue
    seen.add(base)
    const status = ((typeof written === 'string' ? JSON.parse(written) : written) ?? {}) as Written
    // Calls of a router that has ended are in flight no more.
    const known = { ...status, unfinished: 0 }
    const spec = specOf(url, known, url === base ? undefined : ranks.get(base))
    if (spec) stored.push({ spec, source: status.source ?? 'api', addedAt: 0, draining: false })
  }
  return new Map([[KEY, stored]])
}

/** What the registry stored, as the file's JSON. */
export function writeNodeFile(values: ReadonlyMap<string, unknown>): Record<string, string> {
  const stored = (values.get(KEY) ?? []) as readonly StoredWorker[]
  return Object.fromEntries(
    stored.flatMap(({ spec, source, models }) => {
      const status = pythonJson({
        ...statusOf({ ...spec, models: spec.models ?? models ?? [] }),
        ...(source === 'flag' && { source }),
      })
      const count = typeof spec.ranks === 'number' ? spec.ranks : 1
      const urls = count > 1 ? Array.from({ length: count }, (_, rank) => `${spec.url}@${rank}`) : [spec.url]
      return urls.map((url) => [url, status])
    }),
  )
}
