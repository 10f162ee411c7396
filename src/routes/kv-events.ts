// POST /fetchway/v1/workers/{id}/kv-events: KV events from where no socket of ours reaches (or none can be opened), a batch at a time.
import type { Pushed } from '../actors/kv-events.ts'
import { readBody } from '../admission/body.ts'
import type { Core } from '../core.ts'
import { Refusal } from '../openai/errors.ts'
import { decodeBatch, KvError, parseBatch, type KvBatch } from '../prefix/kv-batch.ts'
import { json } from './reply.ts'

const MSGPACK: readonly string[] = ['application/msgpack', 'application/x-msgpack', 'application/vnd.msgpack']
const SEQUENCE = 'x-kv-seq'

/** Takes one batch, in the engines' MessagePack or the same in JSON. `x-kv-seq`: its number, by which lost ones are noticed. */
export async function pushKvEvents(core: Core, request: Request, id: string): Promise<Response> {
  if (core.config.kvEvents === 'off')
    throw new Refusal(409, 'kv_events_off', 'This router does not look at KV events (kvEvents: off).')
  const seq = sequenceOf(request.headers)
  const batch = await readPushed(core, request)
  const pushed = await core.host.pool('main').events(id, batch, seq)
  return json(answerOf(pushed, id, batch))
}

async function readPushed(core: Core, request: Request): Promise<KvBatch> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase()
  const isJson = type === 'application/json'
  if (!isJson && !MSGPACK.includes(type))
    throw new Refusal(
      415,
      'unsupported_media_type',
      'Send KV events as application/msgpack, or the same as application/json.',
    )
  const held = await readBody(request, core.buffers, core.config, core.host)
  try {
    return isJson ? parseBatch(new TextDecoder().decode(held.bytes)) : decodeBatch(held.bytes)
  } catch (error) {
    if (!(error instanceof KvError)) throw error
    throw new Refusal(400, 'invalid_kv_events', `These are no KV events: ${error.message}.`)
  } finally {
    held.release()
  }
}

function sequenceOf(headers: Headers): number | null {
  const text = headers.get(SEQUENCE)
  if (text === null) return null
  const seq = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(seq)) return seq
  throw new Refusal(400, 'invalid_kv_events', `${SEQUENCE} must be a number that counts batches from 0.`)
}

function answerOf(pushed: Pushed, id: string, { events }: KvBatch): Record<string, unknown> {
  if (pushed.kind === 'unknown')
    throw new Refusal(
      404,
      'worker_not_found',
      `There is no worker ${id}: GET /fetchway/v1/workers lists them.`,
    )
  if (pushed.kind === 'followed')
    throw new Refusal(
      409,
      'kv_events_followed',
      `The KV events of ${id} are followed by a socket: set its kvEvents to "push" first.`,
    )
  return {
    object: 'kv_events',
    worker: id,
    accepted: pushed.kind === 'seen' ? 0 : events.length,
    duplicate: pushed.kind === 'seen',
    gap: pushed.kind === 'gap',
    restarted: pushed.kind === 'restarted',
    next_seq: pushed.next,
  }
}
