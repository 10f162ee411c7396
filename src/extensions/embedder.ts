// What turns a text into a vector: a model of the fleet, an OpenAI-compatible endpoint elsewhere, or a function of an ES module.
import { ANYBODY } from '../admission/auth.ts'
import { OUTSIDE } from '../admission/outside.ts'
import type { SemanticCacheSpec } from '../config/extending.ts'
import type { Core } from '../core.ts'
import { askWorker } from '../discovery/ask.ts'
import { endpoints, type Endpoint } from '../openai/endpoints.ts'
import { inference } from '../routes/inference.ts'
import { functionOf, modulePath, type Exports } from './hooks.ts'

/** The vector of a text. Rejects when there is none. */
export type Embed = (core: Core, text: string) => Promise<ArrayLike<number>>

/** Milliseconds: a call waits no longer for its vector. */
const PATIENCE = 10_000
const PATH = '/v1/embeddings'
const SCRIPT = /\.[cm]?[jt]s(?:#|$)/
/** Calls of the router's own, which nobody sent. */
const own = new WeakSet<Request>()

/** Whether a call asks for a vector of the cache: an operator's functions are not for it. */
export const isOwn = (request: Request): boolean => own.has(request)

/** By what `embedder` names. `load`: imports an ES module. @throws Error that says what is wrong with it */
export async function embedderOf(
  { embedder, apiKey }: Pick<SemanticCacheSpec, 'embedder' | 'apiKey'>,
  load: (path: string) => Promise<Exports>,
): Promise<Embed> {
  if (/^https?:\/\//.test(embedder)) return elsewhere(embedder, apiKey)
  if (!SCRIPT.test(embedder)) return ofFleet(embedder)
  const { path, name } = modulePath(embedder, 'semanticCache.embedder')
  const embed = functionOf(await load(path), 'embed', name)
  if (!embed) throw new Error(`${embedder} exports no embed`)
  return async (_core, text) => vectorIn(await embed([text]))
}

/** A module may return one vector, or one for each text. */
function vectorIn(given: unknown): ArrayLike<number> {
  const first = Array.isArray(given) && typeof given[0] !== 'number' ? (given[0] as unknown) : given
  if (!Array.isArray(first) && !ArrayBuffer.isView(first)) throw new Error('embed returned no vector')
  return first as unknown as ArrayLike<number>
}

function elsewhere(given: string, apiKey: string | undefined): Embed {
  const [url = '', model] = given.split('#')
  const { origin, pathname } = new URL(url)
  const base = pathname.replace(/\/+$/, '')
  const path = base.endsWith('/embeddings') ? base : `${base.replace(/\/v1$/, '')}${PATH}`
  const ref = { id: origin, url: origin, engine: OUTSIDE, ...(apiKey !== undefined && { apiKey }) }
  return async ({ host }, text) => {
    const body = JSON.stringify({ ...(model && { model }), input: text })
    const reply = await askWorker(host, ref, { method: 'POST', path, body, timeout: PATIENCE })
    if ('reason' in reply) throw new Error(reply.reason)
    if (reply.status !== 200) throw new Error(`${url} answered ${reply.status}`)
    return embeddingIn(reply.text)
  }
}

/** The router's own call: it is chosen for, counted and tried again like any. */
function ofFleet(model: string): Embed {
  return async (core, text) => {
    const request = new Request(`http://router${PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, input: text }),
    })
    own.add(request)
    core.callers.set(request, ANYBODY)
    const response = await inference(core, request, endpoints.get(PATH) as Endpoint)
    const said = await response.text()
    if (response.status !== 200) throw new Error(`${model}: ${response.status} ${said.slice(0, 200)}`)
    return embeddingIn(said)
  }
}

function embeddingIn(text: string): ArrayLike<number> {
  const { data } = JSON.parse(text) as { data?: readonly { readonly embedding?: unknown }[] }
  const vector = data?.[0]?.embedding
  if (!Array.isArray(vector)) throw new Error('the answer holds no embedding')
  return vector as number[]
}
