// Reranking as the Rust routers shape it: one path of the workers, and their bare list wrapped.
import type { Core } from '../../core.ts'
import { pathname, pathOf } from '../../openai/target.ts'
import { endpoints, OTHER } from '../../openai/endpoints.ts'
import { inference } from '../../routes/inference.ts'
import { json } from '../../routes/reply.ts'
import { objectOf } from './answers.ts'
import { parsed } from './fan-out.ts'

const PATH = '/v1/rerank'

type Body = Readonly<Record<string, unknown>>

/** What differs between both routers. */
export interface RerankHabits {
  /** A validated request's problem; null: none. Its answer is the router's own. */
  check(body: Body, path: string): Response | null
  /** Its words for a body that is not read. */
  unread(refused: Response, path: string): Response | Promise<Response>
  /** The model of who names none. */
  readonly model: string
  /** Results are put in order, the best first. */
  readonly isSorted: boolean
}

/** Answers a rerank by what a worker says of it, retold as that router would. */
export async function rerank(core: Core, request: Request, habits: RerankHabits): Promise<Response> {
  const path = pathname(pathOf(request.url))
  const body = await objectOf(request)
  if (body instanceof Response) return habits.unread(body, path)
  const problem = habits.check(body, path)
  if (problem !== null) return problem
  const { return_documents: withDocuments, ...rest } = body
  const top = body['top_k']
  const url = new URL(request.url)
  url.pathname = PATH
  const headers = new Headers(request.headers)
  headers.delete('content-length')
  // SGLang and vLLM differ in what they call the first so many; both get it, under all names.
  const asked = { ...rest, ...(typeof top === 'number' && { top_n: top }) }
  const method = 'POST'
  const forwarded = new Request(url, { method, headers, body: JSON.stringify(asked), signal: request.signal })
  const response = await inference(core, forwarded, endpoints.get(PATH) ?? OTHER)
  if (!response.ok) return response
  const text = await response.text()
  const answer = parsed(text)
  if (!Array.isArray(answer)) return new Response(text, response)
  const results = answer as Record<string, unknown>[]
  return wrapped(core, response, habits.isSorted ? results.toSorted(byScore) : results, {
    body,
    model: habits.model,
    top: path === PATH ? undefined : top,
    isBare: path !== PATH && withDocuments === false,
  })
}

/** Orders results, the best first. */
export const byScore = (a: Body, b: Body): number => scoreOf(b) - scoreOf(a)

const scoreOf = ({ score }: Body): number => (typeof score === 'number' ? score : 0)

/** What is missing of the two fields, in their order. */
export const missingOf = (body: Body): string | undefined =>
  typeof body['query'] !== 'string' ? 'query' : Array.isArray(body['documents']) ? undefined : 'documents'

export const isBelowOne = (top: unknown): boolean => typeof top === 'number' && top < 1

function wrapped(
  core: Core,
  { headers }: Response,
  results: readonly Record<string, unknown>[],
  { body, model, top, isBare }: { body: Body; model: string; top: unknown; isBare: boolean },
): Response {
  const best = typeof top === 'number' ? results.slice(0, top) : results
  const shown = isBare ? best.map(({ document: _document, ...result }) => result) : best
  // What an engine leaves empty is left out there.
  const told = shown.map((result) =>
    Object.fromEntries(Object.entries(result).filter(([, value]) => value !== null)),
  )
  const kept = new Headers(headers)
  kept.delete('content-length')
  return json(
    {
      results: told,
      model: body['model'] ?? model,
      usage: null,
      object: 'rerank',
      id: body['rid'] ?? null,
      created: Math.floor(core.host.now() / 1000),
    },
    200,
    Object.fromEntries(kept),
  )
}
