// Sends a line of a batch through the router, as the call of whoever made the batch.
import { callerNamed } from '../admission/auth.ts'
import type { Core } from '../core.ts'
import { join } from '../openai/bytes.ts'
import { idNameOf } from '../openai/head.ts'
import { Refusal } from '../openai/errors.ts'
import type { LineAnswer, LineCall } from './runner.ts'

/** Lower goes first: calls that somebody waits for have 0. */
const PRIORITY = '1000'

/**
 * The answer to a line. Rejects with a `Refusal` when its key is gone or the answer is longer than `limit`, and when it broke
 * off or was aborted.
 * @param answer the router's handler behind the check of keys
 */
export async function sendLine(
  core: Core,
  { owner, endpoint, body, limit, signal }: LineCall,
  answer: (request: Request) => Promise<Response>,
): Promise<LineAnswer> {
  const caller = callerNamed(core.config, owner.split('\n')[0]!)
  if (!caller)
    throw new Refusal(401, 'invalid_api_key', 'The API key that made this batch is not known any more.')
  const headers = { 'content-type': 'application/json', 'x-priority': PRIORITY }
  const request = new Request(`http://batch${endpoint}`, {
    method: 'POST',
    headers,
    body: body as BodyInit,
    signal,
  })
  core.callers.set(request, caller)
  const response = await answer(request)
  const id = response.headers.get(idNameOf(core)) ?? ''
  const retryAfter = Number(response.headers.get('retry-after')) || 0
  return { status: response.status, requestId: id, retryAfter, body: await readAll(response, limit) }
}

async function readAll({ body }: Response, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  if (body === null) return join(parts)
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  for (let size = 0; ;) {
    const { done, value } = await reader.read()
    if (done) return join(parts)
    parts.push(value)
    size += value.length
    if (size <= limit) continue
    reader.cancel().catch(() => undefined) // what else comes is not wanted
    throw new Refusal(501, 'answer_too_long', `The answer is longer than the ${limit} bytes that are kept.`)
  }
}
