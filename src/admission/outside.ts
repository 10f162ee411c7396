// Small questions of the router itself to servers that are no workers: identity providers, validators of tokens.
import { askWorker, type Asked } from '../discovery/ask.ts'
import type { Host } from '../host.ts'

/** Stands for an engine: certificates and authorities of workers are not for such servers. */
export const OUTSIDE = 'outside'

/** Milliseconds for the whole answer. */
const PATIENCE = 5000

/** GET of a URL, with a bearer token where one is given. Never throws: no answer is `{status: 0}`. */
export function askOutside(host: Pick<Host, 'fetch' | 'timer'>, url: string, token?: string): Promise<Asked> {
  const { origin, pathname, search } = new URL(url)
  const server = { id: origin, url: origin, engine: OUTSIDE, ...(token !== undefined && { apiKey: token }) }
  return askWorker(host, server, { method: 'GET', path: pathname + search, timeout: PATIENCE })
}
