// Reranking as the Rust routers shape it: one path of the workers, and their bare list wrapped.
import type { Core } from '../../core.ts'
import { pathname, pathOf } from '../../openai/call.ts'
import { endpoints, OTHER } from '../../openai/endpoints.ts'
import { inference } from '../../routes/inference.ts'
import { json } from '../../routes/reply.ts'
import { objectOf, plain } from './answers.ts'
import { parsed } from './fan-out.ts'

const PATH = '/v1/rerank'

/** `checks`: what is wrong with such a request, in the router's words; null: nothing. */
export async function rerank(
  core: Core,
  request: Request,
  checks: (body: Readonly<Record<string, unknown>>, path: string) => string | null,
): Promise<Response> {
  const body = await objectOf(request)
  if (body instanceof Response) return body
  const path = pathname(pathOf(request.url))
  const problem = checks(body, path)
  if (problem !== null) return plain(400, problem)
  const { top_k: top, return_documents: withDocuments, ...rest } = body
  const url = new URL(request.url)
  url.pathname = PATH
  const headers = new Headers(request.headers)
  headers.delete('content-length')
  // SGLang and vLLM differ in what they call the first so many; both get it.
  const asked = { ...rest, ...(typeof top === 'number' && { top_n: top }) }
  const method = 'POST'
  const forwarded = new Request(url, { method, headers, body: JSON.stringify(asked), signal: request.signal })
  const response = await inference(core, forwarded, endpoints.get(PATH) ?? OTHER)
  if (!response.ok) return response
  const text = await response.text()
  const answer = parsed(text)
  if (!Array.isArray(answer)) return new Response(text, response)
  return wrapped(core, response, answer as Record<string, unknown>[], {
    body,
    top: path === PATH ? undefined : top,
    isBare: path !== PATH && withDocuments === false,
  })
}

function wrapped(
  core: Core,
  { headers }: Response,
  results: readonly Record<string, unknown>[],
  { body, top, isBare }: { body: Readonly<Record<string, unknown>>; top: unknown; isBare: boolean },
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
      model: body['model'] ?? 'unknown',
      usage: null,
      object: 'rerank',
      id: body['rid'] ?? null,
      created: Math.floor(core.host.now() / 1000),
    },
    200,
    Object.fromEntries(kept),
  )
}
