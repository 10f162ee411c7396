// Batches that the router runs: create, list, retrieve, cancel, as OpenAI's API has them.
import { readBody } from '../admission/body.ts'
import { readBatch } from '../batches/batch.ts'
import { parse } from '../batches/jsonl.ts'
import type { Core } from '../core.ts'
import { Refusal } from '../openai/errors.ts'
import { accepted, listOf, noMethod, pageIn, type Kept } from './kept.ts'
import { json } from './reply.ts'

/** Answers /v1/batches and what is below it. Throws a `Refusal`. */
export async function batches(core: Core, request: Request, asked: Kept): Promise<Response> {
  const { batches: home, owner, id, rest, manner } = asked
  const { method } = request
  if (id === '') {
    if (method === 'POST') return create(core, request, asked)
    if (method !== 'GET') throw noMethod(method, 'GET, POST')
    const page = pageIn(new URL(request.url).searchParams, 20, 100)
    return json(listOf(await home.batches(owner, page), manner.batch))
  }
  const cancels =
    rest === 'cancel' ? method === 'POST' : rest === '' && method === 'DELETE' && manner.deletesBatches
  if (!cancels && (rest !== '' || method !== 'GET'))
    throw noMethod(method, rest === 'cancel' ? 'POST' : 'GET')
  const found = accepted(await (cancels ? home.cancel(owner, id) : home.batch(owner, id)))
  if (!found) throw new Refusal(404, 'batch_not_found', `No such batch: ${id.slice(0, 100)}.`)
  return json(manner.batch(found))
}

async function create(
  core: Core,
  request: Request,
  { batches: home, owner, manner }: Kept,
): Promise<Response> {
  const { bytes, release } = await readBody(request, core.buffers, core.config, core.host)
  const body = parse(bytes)
  release()
  if (body === undefined) throw new Refusal(400, 'invalid_json', 'The request body is not valid JSON.')
  const asked = accepted(readBatch(body, manner.window))
  const { digits, inputPurpose: purpose } = manner
  return json(manner.batch(accepted(await home.create(owner, asked, { digits, purpose }))))
}
