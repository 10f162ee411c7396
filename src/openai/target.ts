// What a request's URL asks for. Most calls in a row are for the same, so the last one that was read is kept.
import { endpoints, type Endpoint } from './endpoints.ts'
import { shapeOf, type Shape } from './shapes.ts'

export interface Target {
  /** Path and query, the very characters that came. */
  readonly path: string
  readonly pathname: string
  readonly shape: Shape
  /** Where a POST of it is an inference call. */
  readonly endpoint: Endpoint | undefined
}

let last = { url: '', target: read('') }

/** What an absolute URL asks for. */
export function targetOf(url: string): Target {
  if (url !== last.url) last = { url, target: read(url) }
  return last.target
}

function read(url: string): Target {
  const path = pathOf(url)
  const bare = pathname(path)
  return { path, pathname: bare, shape: shapeOf(bare), endpoint: endpoints.get(bare) }
}

/** Path and query of an absolute URL, the very characters that came. */
export function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return start < 0 ? '/' : url.slice(start)
}

/** A path without its query. */
export function pathname(path: string): string {
  const query = path.indexOf('?')
  return query < 0 ? path : path.slice(0, query)
}
