// What an operator puts around calls: functions of their own, providers outside of the fleet, and a cache of answers by meaning.
import * as z from './form.ts'
import { about, share, whole } from './kinds.ts'
import { duration } from './units.ts'

const text = () => z.string().check(z.minLength(1))

/** One OpenAI-compatible service outside of the fleet. */
const provider = z.strictObject({
  name: about(text(), 'what its models are said to be owned by'),
  url: about(text(), 'its address, with or without /v1: https://api.example.com'),
  apiKey: about(z.optional(text()), 'sent as a bearer token; a client’s own key is never'),
  timeout: about(duration('30s'), 'until its answer begins, and silence inside one'),
  maxRetries: about(z.prefault(whole(0), 3), 'further attempts when it could not be reached'),
  headers: about(z.prefault(z.record(z.string(), z.string()), {}), 'sent with each call'),
  models: about(
    z.array(
      z.strictObject({
        id: about(text(), 'as the provider knows it'),
        type: about(z.prefault(text(), 'chat'), 'kind of calls that it takes; told, not checked'),
        aliases: about(z.prefault(z.array(text()), []), 'other names of it here'),
      }),
    ),
    'models that are taken from it; those that its /v1/models does not list are left out',
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
  embedder: about(
    text(),
    'what turns a chat into a vector: a model of the fleet, URL#MODEL of an embeddings endpoint, or an ES module',
  ),
  apiKey: about(z.optional(text()), 'sent to that endpoint as a bearer token'),
  threshold: about(share(0.95), 'least cosine of two chats that get the same answer'),
  size: about(z.prefault(whole(1, 1_000_000), 1000), 'answers that are kept; the least used goes first'),
  directory: about(z.optional(text()), 'where they are kept over a restart; none: in memory alone'),
})
export type SemanticCacheSpec = z.Output<typeof semanticCache>

const lmcache = z.strictObject({
  port: about(whole(0, 65535), 'where its workers push what they hold (their controller_pull_url)'),
  replyPort: about(z.optional(whole(0, 65535)), 'where they ask (controller_reply_url); none: nowhere'),
  heartbeatPort: about(z.optional(whole(0, 65535)), 'where their heartbeats come in, if not at port'),
  workerTimeout: about(duration('30s'), 'a worker that sent heartbeats is forgotten after so long without'),
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
