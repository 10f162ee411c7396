// Makes what a configuration asks for around calls.
import type { Config, ConfigInput } from '../config/schema.ts'
import type { Core } from '../core.ts'
import { Around } from './around.ts'
import { embedderOf } from './embedder.ts'
import type { Extensions } from './extension.ts'
import { Callbacks, modulePath, Rewriter, type Exports } from './hooks.ts'
import { Lmcache } from './lmcache/lmcache.ts'
import { Providers } from './providers.ts'
import { SemanticCache } from './semantic-cache.ts'
import { Shelf, type Files } from './shelf.ts'

/** What a runtime lends: modules and files. */
export interface Lent {
  /** Imports an ES module; paths go from where the program was started. */
  load(path: string): Promise<Exports>
  readonly files: Files
}

type Wanted = Pick<Config, 'callbacks' | 'requestRewriter' | 'providers' | 'semanticCache' | 'lmcache'>

/** Whether a configuration asks for anything of it. */
const isWanted = ({ callbacks, requestRewriter, providers, semanticCache, lmcache }: Wanted): boolean =>
  [callbacks, requestRewriter, semanticCache, lmcache].some((one) => one !== undefined) ||
  providers.length > 0

/** Null: nothing is asked for. Rejects with a sentence that says what to change. */
export async function extend(wanted: Wanted, core: Core, lent: Lent): Promise<Extensions | null> {
  const { callbacks, requestRewriter, providers, semanticCache } = wanted
  const before = core.extensions instanceof Around ? core.extensions : null
  // A port that is still wanted stays open.
  const known = before?.lmcache ?? null
  const open = known?.spec === JSON.stringify(wanted.lmcache ?? null) ? known : null
  if (open === null) known?.close()
  if (!isWanted(wanted)) return null
  const spec = JSON.stringify(semanticCache ?? null)
  // A reload empties no cache.
  const kept = before?.cacheFor(spec) ?? null
  const [seeing, rewriter, met, cache, lmcache] = await Promise.all([
    callbacks === undefined ? null : callbacksOf(callbacks, core, lent),
    requestRewriter === undefined ? null : rewriterOf(requestRewriter, core, lent),
    providers.length === 0 ? null : Providers.meet(core, providers),
    semanticCache === undefined ? null : (kept ?? cacheOf(semanticCache, core, lent)),
    wanted.lmcache === undefined ? null : (open ?? Lmcache.open(core, wanted.lmcache)),
  ])
  return new Around({ callbacks: seeing, rewriter, providers: met, cache, lmcache }, spec)
}

async function callbacksOf(given: string, { host }: Core, lent: Lent): Promise<Callbacks> {
  const at = modulePath(given, 'callbacks' satisfies keyof ConfigInput)
  return new Callbacks(host, await lent.load(at.path), at)
}

async function rewriterOf(given: string, { host }: Core, lent: Lent): Promise<Rewriter> {
  const at = modulePath(given, 'requestRewriter' satisfies keyof ConfigInput)
  return new Rewriter(host, await lent.load(at.path), at)
}

async function cacheOf(
  spec: NonNullable<Wanted['semanticCache']>,
  { host }: Core,
  lent: Lent,
): Promise<SemanticCache> {
  const embed = await embedderOf(spec, (path) => lent.load(path))
  const shelf = spec.directory === undefined ? null : new Shelf(lent.files, spec.directory, host)
  const cache = new SemanticCache(embed, spec, shelf)
  await cache.open()
  return cache
}
