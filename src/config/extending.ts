// What an operator puts around calls: functions of their own, providers outside of the fleet, and a cache of answers by meaning.
import * as z from './form.ts'
import { share, whole } from './kinds.ts'
import { duration } from './units.ts'

const text = () => z.string().check(z.minLength(1))

/** One OpenAI-compatible service outside of the fleet. */
const provider = z.strictObject({
  name: text(),
  url: text(),
  apiKey: z.optional(text()),
  timeout: duration('30s'),
  maxRetries: z.prefault(whole(0), 3),
  headers: z.prefault(z.record(z.string(), z.string()), {}),
  models: z.array(
    z.strictObject({
      id: text(),
      type: z.prefault(text(), 'chat'),
      aliases: z.prefault(z.array(text()), []),
    }),
  ),
})
export type ProviderSpec = z.Output<typeof provider>

/** `URL#MODEL`, as flags and variables have it. */
const bareProvider = z.transform((written: string, ctx: z.Telling) => {
  const [url = '', id = ''] = written.split('#')
  if (!URL.canParse(url) || id === '') {
    ctx.issues.push({
      code: 'custom',
      message: `expected URL#MODEL, got ${JSON.stringify(written)}`,
      path: [],
    })
    return z.NEVER
  }
  return { name: new URL(url).hostname, url, models: [{ id }] }
})

const semanticCache = z.strictObject({
  embedder: text(),
  apiKey: z.optional(text()),
  threshold: share(0.95),
  size: z.prefault(whole(1, 1_000_000), 1000),
  directory: z.optional(text()),
})
export type SemanticCacheSpec = z.Output<typeof semanticCache>

const lmcache = z.strictObject({
  port: whole(0, 65535),
  replyPort: z.optional(whole(0, 65535)),
  heartbeatPort: z.optional(whole(0, 65535)),
  workerTimeout: duration('30s'),
})
export type LmcacheSpec = z.Output<typeof lmcache>

const barePort = z.transform((port: number) => ({ port }))
const bareEmbedder = z.transform((embedder: string) => ({ embedder }))

export const extending = {
  callbacks: z.optional(text()),
  requestRewriter: z.optional(text()),
  providers: z.prefault(z.array(z.union([z.pipe(z.pipe(z.string(), bareProvider), provider), provider])), []),
  lmcache: z.optional(z.union([z.pipe(z.pipe(whole(0, 65535), barePort), lmcache), lmcache])),
  semanticCache: z.optional(
    z.union([z.pipe(z.pipe(z.string(), bareEmbedder), semanticCache), semanticCache]),
  ),
}
