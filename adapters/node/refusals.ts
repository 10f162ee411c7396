// What the server answers without the app: broken requests, handlers that threw, and bodies that nobody wants.
import type { Duplex } from 'node:stream'
import type { Outlet } from './client/exchange.ts'

/** An error body in OpenAI's shape. */
function errorBody(message: string, code: string, type: string): string {
  return JSON.stringify({ error: { message, type, param: null, code } })
}

/**
 * Answers a request that node:http refused to parse. `isAnswering`: bytes of a response are out already; node:http knows where it is not
 * told here.
 */
export function onClientError(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  isAnswering = (socket as { _httpMessage?: { headersSent?: boolean } })._httpMessage?.headersSent === true,
): void {
  const { bytesWritten } = socket as { bytesWritten?: number }
  if (error.code === 'ECONNRESET' || !socket.writable || (isAnswering && bytesWritten))
    return void socket.destroy(error)
  const [status, code, message] = describe(error.code)
  answerLast(socket, { status, code, message })
}

/** Answers a CONNECT: nothing is reached through the router. */
export function refuseConnect(socket: Duplex): void {
  socket.on('error', () => undefined) // what it says of its end is no matter
  const message = 'The router is no proxy of connections: there is no CONNECT.'
  answerLast(socket, { status: '405 Method Not Allowed', code: 'method_not_allowed', message })
}

interface Last {
  readonly status: string
  readonly code: string
  readonly message: string
}

function answerLast(socket: Duplex, { status, code, message }: Last): void {
  const body = errorBody(message, code, 'invalid_request_error')
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
  socket.end(`${head}x-fetchway-error: ${code}\r\nConnection: close\r\n\r\n${body}`)
  // What is still coming is read and dropped: closing on unread bytes would reset the connection under the answer.
  socket.removeAllListeners('data')
  socket.on('data', () => undefined)
  setTimeout(() => socket.destroy(), 1000).unref()
}

function describe(code: string | undefined): [string, string, string] {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return ['431 Request Header Fields Too Large', 'header_too_large', 'The request head is too large.']
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return ['408 Request Timeout', 'request_timeout', 'The request head came too slowly.']
  return ['400 Bad Request', 'bad_request', 'The request is not valid HTTP/1.1.']
}

/** Answers for a handler that threw. */
export function refuse(outlet: Outlet): void {
  refuseWith(outlet, 500, 'internal_error', 'The router failed on this request; its log says why.')
}

/** Answers for a worker that broke off while nothing of its answer was out. */
export function refuseBroken(outlet: Outlet): void {
  refuseWith(outlet, 502, 'worker_died', 'The worker broke off before its answer was complete.')
}

function refuseWith(outlet: Outlet, status: number, code: string, message: string): void {
  const body = errorBody(message, code, 'server_error')
  const length = ['Content-Length', String(Buffer.byteLength(body))]
  const headers = ['Content-Type', 'application/json', ...length, 'x-fetchway-error', code]
  outlet.refuse({ status, statusText: '', headers }, body)
}
