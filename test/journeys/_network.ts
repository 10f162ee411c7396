// The simulated fleet as an in-memory network: what a host's upstream fetch calls in place of sockets.
import { heeding, type Fleet } from './_rig.ts'

/** A fetch that reaches the engines of the fleet, and nobody else. */
export function network(fleet: Fleet): (url: string, init: RequestInit) => Promise<Response> {
  return async (url, init) => {
    const engine = fleet[new URL(url).origin]
    if (!engine)
      throw new TypeError('fetch failed', {
        cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
      })
    const { signal, ...rest } = init
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    // It may abort when nobody waits any more.
    aborted.catch(() => undefined)
    const answer = engine.fetch(heeding(new Request(url, rest), signal ?? new AbortController().signal))
    const response = await Promise.race([answer, aborted])
    return cutBy(response, signal ?? null)
  }
}

/** A client's view of a handler in this process: its abort ends the wait and the body, and the handler is told. */
export async function visit(
  handler: (request: Request) => Promise<Response>,
  request: Request,
): Promise<Response> {
  const { signal } = request
  const connection = new AbortController()
  const aborted = new Promise<never>((_, reject) => {
    const leave = () => {
      connection.abort()
      reject(signal.reason as Error)
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
  aborted.catch(() => undefined)
  const answer = handler(heeding(request, connection.signal))
  try {
    return cutBy(await Promise.race([answer, aborted]), signal)
  } catch (error) {
    // An answer that comes too late is dropped, as a server does.
    answer.then((late) => late.body?.cancel()).catch(() => undefined)
    throw error
  }
}

/** The response with a body that breaks, and is cancelled at its source, when the signal aborts. */
function cutBy(response: Response, signal: AbortSignal | null): Response {
  if (!response.body || !signal) return response
  const reader = response.body.getReader()
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const cut = () => {
          controller.error(signal.reason)
          reader.cancel(signal.reason).catch(() => undefined)
        }
        if (signal.aborted) cut()
        else signal.addEventListener('abort', cut, { once: true })
      },
      async pull(controller) {
        const { done, value } = await reader.read()
        if (signal.aborted) return
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  const { status, headers } = response
  return new Response(body, { status, headers })
}
