// The inference endpoints: where they are, how their bodies are read, which of them leave state on a worker.

import { enginesServing } from '../engines/engine.ts'

/** `any`: JSON or a form where it is one, else bytes that tell nothing. */
export type BodyForm = 'json' | 'multipart' | 'any' | 'none'

export interface Endpoint {
  /** Label in metrics and logs: the path, with ids taken out. */
  readonly name: string
  readonly body: BodyForm
  /** True when a POST leaves state on the worker, whatever its body says. */
  readonly makesState?: boolean
  /** Engines that have it; null: any. */
  readonly engines: readonly string[] | null
  /** Id of the stored thing that the path names: the call goes to the worker that holds it. */
  readonly builtOn?: string
}

const json = (name: string): Endpoint => ({ name, body: 'json', engines: enginesServing(name) })
const multipart = (name: string): Endpoint => ({ ...json(name), body: 'multipart' })

/** POST endpoints by path. Anything else under /v1 passes through as `other`. */
export const endpoints: ReadonlyMap<string, Endpoint> = new Map(
  [
    json('/v1/chat/completions'),
    json('/v1/completions'),
    json('/v1/embeddings'),
    json('/v1/responses'),
    json('/v1/messages'),
    json('/v1/messages/count_tokens'),
    json('/v1/rerank'),
    json('/v2/rerank'),
    json('/rerank'),
    json('/v1/score'),
    json('/score'),
    json('/v1/classify'),
    json('/classify'),
    json('/pooling'),
    json('/v1/pooling'),
    json('/generate'),
    json('/tokenize'),
    json('/detokenize'),
    json('/v1/tokenize'),
    json('/v1/detokenize'),
    json('/v1/encode'),
    json('/encode'),
    json('/v1/chat/completions/render'),
    json('/v1/completions/render'),
    json('/v1/moderations'),
    json('/v1/audio/speech'),
    multipart('/v1/audio/transcriptions'),
    multipart('/v1/audio/translations'),
    json('/v1/images/generations'),
    multipart('/v1/images/edits'),
    multipart('/v1/images/variations'),
    { ...json('/v1/conversations'), makesState: true },
    { ...json('/v1/batches'), makesState: true },
    { ...multipart('/v1/files'), makesState: true },
  ].map((endpoint) => [endpoint.name, endpoint]),
)

/** How a path under /v1 without an endpoint of its own is treated. */
export const OTHER: Endpoint = { name: 'other', body: 'any', engines: null }
