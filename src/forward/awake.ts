// Keeps a stream's connection awake while its call waits in the queue or for its first token: `: keep-alive` comments.
import type { Core } from '../core.ts'
import type { Call } from '../openai/call.ts'
import { idNameOf } from '../openai/head.ts'
import { errorEvent, readFields, type Shape } from '../openai/shapes.ts'
import { fieldsOf } from '../openai/usage.ts'

const encoder = new TextEncoder()
const COMMENT = encoder.encode(': keep-alive\n\n')

/** The answer itself when it comes in time or is no stream; else an event stream that begins with comments and goes on with it. */
export async function awake(
  core: Core,
  answer: Promise<Response>,
  { callOf, leave }: { callOf: () => Call | null; leave: () => void },
): Promise<Response> {
  const first = await soon(core, answer)
  const call = callOf()
  if (first !== null) return first
  return call?.isStream ? commented(core, answer, call, leave) : answer
}

function commented(
  core: Core,
  answer: Promise<Response>,
  { id, shape, requestId }: Call,
  leave: () => void,
): Response {
  const { host } = core
  const { readable, writable } = host.pipe?.() ?? new TransformStream<Uint8Array, Uint8Array>()
  host.after(keepAwake(core, answer, { shape, writable, leave }))
  const headers = {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    [idNameOf(core)]: requestId,
    // Who answers is not known yet: the decision tells later.
    'x-fetchway-decision': id,
  }
  return new Response(readable, { headers })
}

interface Waiting {
  readonly shape: Shape
  readonly writable: WritableStream<Uint8Array>
  readonly leave: () => void
}

/** Writes comments until the answer is here, then passes it on. Never rejects. */
async function keepAwake(core: Core, answer: Promise<Response>, waiting: Waiting): Promise<void> {
  const { shape, writable, leave } = waiting
  const writer = writable.getWriter()
  // Where the runtime tells of it at once; elsewhere the next write fails.
  writer.closed.catch(leave)
  try {
    let response: Response | null = null
    while (response === null) {
      await writer.write(COMMENT)
      response = await soon(core, answer)
    }
    if (isEventStream(response)) await pass(response, writer)
    else await writer.write(encoder.encode(await asEvent(response, shape)))
    await writer.close()
  } catch {
    // The client left, or the worker's stream broke, which has been told already.
    leave()
    const { body } = await answer
    if (body?.locked === false) await body.cancel().catch(() => undefined)
  }
}

/** By hand: a pipe between two native pipes never moves on workerd. Cancels the answer when a write fails. */
async function pass({ body }: Response, writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read())
      await writer.write(part.value)
  } catch (error) {
    reader.cancel().catch(() => undefined) // it may have broken by itself
    await writer.abort(error).catch(() => undefined) // it may be the broken one
    throw error
  }
}

/** The answer, or null when the next comment is due. */
async function soon({ host, config }: Core, answer: Promise<Response>): Promise<Response | null> {
  let cancel = () => {}
  const due = new Promise<null>((resolve) => {
    cancel = host.timer(config.keepAlive, () => resolve(null))
  })
  const first = await Promise.race([answer, due])
  cancel()
  return first
}

const isEventStream = (response: Response): boolean =>
  response.body !== null && (response.headers.get('content-type') ?? '').startsWith('text/event-stream')

/** An answer that came too late for a status of its own, as an event: what the engine said stays what the client gets. */
async function asEvent(response: Response, shape: Shape): Promise<string> {
  const text = await response.text()
  const said = readFields(text)
  const isGood = response.status < 400
  if (said !== null && (isGood || (fieldsOf(said['error']) !== null && shape !== 'responses'))) {
    const name = shape === 'messages' && !isGood ? 'event: error\n' : ''
    return `${name}data: ${JSON.stringify(said)}\n\n`
  }
  const code = response.headers.get('x-fetchway-error') ?? `status_${response.status}`
  return errorEvent(shape, { message: messageOf(said, response.status), code, status: response.status })
}

function messageOf(said: Readonly<Record<string, unknown>> | null, status: number): string {
  const inner = fieldsOf(said?.['error'])?.['message'] ?? said?.['message'] ?? said?.['detail']
  if (typeof inner === 'string') return inner
  return inner === undefined ? `The worker answered ${status}.` : JSON.stringify(inner)
}
