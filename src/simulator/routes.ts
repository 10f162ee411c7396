// An engine's routes: a table from `VERB /path/{name}` to handlers.
import type { Handler } from './exchange.ts'
import type { EngineRefusal } from './refusal.ts'
import type { Wording } from './wording.ts'

export type Routes = Readonly<Record<string, Handler>>

/** Everything that is one engine's own. */
export interface Profile {
  readonly wording: Wording
  readonly routes: Routes
  readonly statusOf: (refusal: EngineRefusal) => number
}

export interface Found {
  readonly handler: Handler
  readonly params: Readonly<Record<string, string>>
}

/** The handler for a request, or what is unknown about it: its path, or only its method. */
export function findRoute(routes: Routes, method: string, path: string): Found | 'path' | 'method' {
  const exact = routes[`${method} ${path}`]
  if (exact) return { handler: exact, params: {} }
  let found: 'path' | 'method' = 'path'
  for (const [route, handler] of Object.entries(routes)) {
    const [verb, pattern = ''] = route.split(' ')
    const params = matchPath(pattern, path)
    if (!params) continue
    if (verb === method) return { handler, params }
    found = 'method'
  }
  return found
}

function matchPath(pattern: string, path: string): Record<string, string> | null {
  const want = pattern.split('/')
  const have = path.split('/')
  if (want.length !== have.length) return null
  const params: Record<string, string> = {}
  for (const [index, part] of want.entries()) {
    const value = have[index] as string
    if (part.startsWith('{') && value !== '') params[part.slice(1, -1)] = value
    else if (part !== value) return null
  }
  return params
}
