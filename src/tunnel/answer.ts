// The worker's end of one request through a tunnel: asks the engine, and sends its answer back as it comes.
import { UpstreamFailure, type HeaderList, type Outgoing } from '../host.ts'
import { TunnelProtocolError } from './frames.ts'
import { TunnelSocket, type FarSocket } from './socket.ts'
import { WINDOW, type TunnelStream } from './stream.ts'

/** An engine's answer whose body is poured into a sink. */
export interface EngineAnswer {
  readonly status: number
  readonly headers: HeaderList
  pipe(sink: { data(bytes: Uint8Array): void; end(): void; fail(failure: UpstreamFailure): void }): void
  pause(): void
  resume(): void
  /** Closes the connection; the engine notices at once. */
  cancel(): void
}

/** Sends a request to the engine. Rejects with `UpstreamFailure`. */
export type AskEngine = (outgoing: Outgoing) => Promise<EngineAnswer>

/** Opens a WebSocket to the engine; `closed` is called once, when it has ended. Rejects with `UpstreamFailure`. */
export type OpenEngineSocket = (
  outgoing: Outgoing,
  protocols: readonly string[],
  closed: () => void,
) => Promise<FarSocket>

/** How the engine is reached. */
export interface EngineDoor {
  readonly ask: AskEngine
  readonly socket: OpenEngineSocket
}

/** Takes a stream that the router opened: the engine gets its request, the router the engine's answer. */
export function answerStream(
  stream: TunnelStream,
  head: Record<string, unknown>,
  { ask, socket }: EngineDoor,
): void {
  const abort = new AbortController()
  const { length, protocols, ...request } = readRequest(head)
  if (protocols) {
    stream.ear = { data: () => undefined, end: () => abort.abort(), fail: () => abort.abort() }
    const outgoing = { ...request, body: null, signal: abort.signal }
    const open = () => socket(outgoing, protocols, () => undefined)
    return void join(stream, open, () => ask(outgoing))
  }
  const start = (body: Outgoing['body']) => {
    pass(stream, ask({ ...request, body, signal: abort.signal })).catch((error: unknown) => {
      // What became of the engine is told in the stream; this is a fault of our own.
      abort.abort()
      stream.reset('protocol', String(error))
    })
  }
  const gone = () => abort.abort()
  if (length === null) return listen(stream, gone, () => start(null))
  if (length >= 0 && length <= WINDOW) return gather(stream, gone, start)
  const body = streaming(stream, gone)
  start(body)
}

function listen(stream: TunnelStream, gone: () => void, whole: () => void): void {
  const data = () => {
    throw new TunnelProtocolError('a body where none was told of')
  }
  stream.ear = { data, end: whole, fail: gone, room: () => undefined }
}

/** A small body goes to the engine with its length, as it came to the router. */
function gather(stream: TunnelStream, gone: () => void, start: (body: Uint8Array[]) => void): void {
  const parts: Uint8Array[] = []
  stream.ear = { data: (bytes) => void parts.push(bytes), end: () => start(parts), fail: gone }
}

/** A large body goes on as it comes, no faster than the engine takes it. */
function streaming(stream: TunnelStream, gone: () => void): ReadableStream<Uint8Array> {
  let isOver = false
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const end = (run: () => void) => {
          if (isOver) return
          isOver = true
          run()
        }
        stream.ear = {
          data(bytes) {
            if (isOver) return
            controller.enqueue(bytes)
            if ((controller.desiredSize ?? 0) <= 0) stream.pause()
          },
          end: () => end(() => controller.close()),
          fail(failure) {
            end(() => controller.error(failure))
            gone()
          },
        }
      },
      pull: () => stream.resume(),
      cancel() {
        isOver = true
        stream.resume()
      },
    },
    { highWaterMark: 262_144, size: (bytes) => bytes.byteLength },
  )
}

/** Joins the stream with the engine's socket. Never rejects. */
async function join(
  stream: TunnelStream,
  open: () => Promise<FarSocket>,
  ask: () => Promise<EngineAnswer>,
): Promise<void> {
  try {
    // What the client sends before the engine is there waits.
    stream.pause()
    const far = await open()
    if (stream.isOver) return far.close()
    const { protocol } = far
    stream.head({ status: 101, headers: protocol === '' ? [] : ['sec-websocket-protocol', protocol] })
    const near = new TunnelSocket(stream, protocol, () => undefined)
    far.join(near)
    near.join(far)
  } catch (error) {
    stream.resume()
    const isRefused = error instanceof UpstreamFailure && error.kind === 'connect'
    if (isRefused && !stream.isOver) await refuse(stream, ask, error)
    else resetBy(stream, error)
  }
}

/** The API of WebSockets does not tell an engine that takes none from one that is not there: a plain request does. Never rejects. */
async function refuse(
  stream: TunnelStream,
  ask: () => Promise<EngineAnswer>,
  failure: UpstreamFailure,
): Promise<void> {
  const answer = await ask().catch(() => null)
  if (answer === null) return resetBy(stream, failure)
  if (answer.status >= 400) return pass(stream, Promise.resolve(answer))
  answer.cancel()
  stream.head({ status: 400, headers: [] })
  stream.end()
}

/** Tells the router why there is no answer. */
function resetBy(stream: TunnelStream, error: unknown): void {
  const failure = error instanceof UpstreamFailure ? error : new UpstreamFailure('connect', String(error))
  stream.reset(failure.kind, failure.message)
}

/** Hands the answer on; a failure of the engine is told as such. */
async function pass(stream: TunnelStream, asking: Promise<EngineAnswer>): Promise<void> {
  let answer: EngineAnswer
  try {
    answer = await asking
  } catch (error) {
    return resetBy(stream, error)
  }
  if (stream.isOver) return answer.cancel()
  const { fail } = stream.ear
  stream.ear = {
    ...stream.ear,
    room: () => answer.resume(),
    fail(failure) {
      answer.cancel()
      fail(failure)
    },
  }
  stream.head({ status: answer.status, headers: answer.headers })
  answer.pipe({
    data(bytes) {
      if (!stream.write(bytes)) answer.pause()
    },
    end: () => stream.end(),
    fail: ({ kind, message }) => stream.reset(kind, message),
  })
}

function readRequest(
  head: Record<string, unknown>,
): Omit<Outgoing, 'body' | 'signal'> & { length: number | null; protocols: string[] | null } {
  const { method, path, headers, length = null, connectTimeout = 0, once = false, protocols = null } = head
  const isList = Array.isArray(headers) && headers.every((one) => typeof one === 'string')
  const isLine = typeof method === 'string' && typeof path === 'string' && path.startsWith('/')
  const isCounted = length === null || typeof length === 'number'
  const isNamed =
    protocols === null || (Array.isArray(protocols) && protocols.every((one) => typeof one === 'string'))
  const isWhole = isLine && isList && headers.length % 2 === 0 && isCounted && isNamed
  if (!isWhole || typeof connectTimeout !== 'number') throw new TunnelProtocolError('a request that is none')
  return { method, path, headers, length, connectTimeout, isOnce: once === true, protocols }
}
