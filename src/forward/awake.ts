// Keeps a stream's connection awake while its call waits in the queue or for its first token: `: keep-alive` comments.
import type { Core } from '../core.ts'
import { idNameOf, type Call } from '../openai/call.ts'
import { errorEvent, type Shape } from '../openai/shapes.ts'

const encoder = new TextEncoder()

/** The answer itself when it comes in time or is no stream; else an event stream that begins with comments and goes on with it. */
export async function awake(
  core: Core,
  answer: Promise<Response>,
  { callOf, leave }: { callOf: () => Call | null; leave: () => void },
): Promise<Response> {
  const { host, config } = core
  let cancel = () => {}
  const late = new Promise<null>((resolve) => {
    cancel = host.timer(config.keepAlive, () => resolve(null))
  })
  const first = await Promise.race([answer, late])
  cancel()
  const call = callOf()
  if (first !== null) return first
  return call?.isStream ? commented(core, answer, call, leave) : answer
}

function commented(
  core: Core,
  answer: Promise<Response>,
  { shape, requestId }: Call,
  leave: () => void,
): Response {
  const { host, config } = core
  let stop = () => {}
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null
  let isLeft = false
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const comment = () => {
        controller.enqueue(encoder.encode(': keep-alive\n\n'))
        stop = host.timer(config.keepAlive, comment)
      }
      comment()
      const response = await answer
      stop()
      if (isLeft) return void response.body?.cancel()
      if (isEventStream(response)) reader = (response.body as ReadableStream<Uint8Array>).getReader()
      else {
        controller.enqueue(encoder.encode(await asEvent(response, shape)))
        controller.close()
      }
    },
    async pull(controller) {
      if (!reader) return
      const { done, value } = await reader.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel(reason) {
      isLeft = true
      stop()
      leave()
      await reader?.cancel(reason)
    },
  })
  const headers = {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    [idNameOf(core)]: requestId,
  }
  return new Response(body, { headers })
}

const isEventStream = (response: Response): boolean =>
  response.body !== null && (response.headers.get('content-type') ?? '').startsWith('text/event-stream')

/** An error that came too late for a status of its own, as the API's error event. */
async function asEvent(response: Response, shape: Shape): Promise<string> {
  const text = await response.text()
  const code = response.headers.get('x-fetchway-error') ?? `status_${response.status}`
  return errorEvent(shape, {
    message: messageOf(text) ?? `The worker answered ${response.status}.`,
    code,
    status: response.status,
  })
}

function messageOf(text: string): string | null {
  try {
    const { error, message } = JSON.parse(text) as { error?: { message?: string }; message?: string }
    return error?.message ?? message ?? null
  } catch {
    // Not JSON: the status tells what there is to tell.
    return null
  }
}
