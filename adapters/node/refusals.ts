// What the server answers without the app: broken requests, handlers that threw, and bodies that nobody wants.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** How long a client may go on sending a body after its response, so that it comes to read it. */
const LINGER = 5000

/** An error body in OpenAI's shape. */
function errorBody(message: string, code: string, type: string): string {
  return JSON.stringify({ error: { message, type, param: null, code } })
}

/** Answers a request that node:http refused to parse. */
export function onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  const { bytesWritten } = socket as { bytesWritten?: number }
  const isAnswering =
    (socket as { _httpMessage?: { headersSent?: boolean } })._httpMessage?.headersSent === true
  if (error.code === 'ECONNRESET' || !socket.writable || (isAnswering && bytesWritten))
    return void socket.destroy(error)
  const [status, code, message] = describe(error.code)
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
export function refuse(res: ServerResponse): void {
  const body = errorBody(
    'The router failed on this request; its log says why.',
    'internal_error',
    'server_error',
  )
  res.writeHead(500, [
    'Content-Type',
    'application/json',
    'x-fetchway-error',
    'internal_error',
    'Connection',
    'close',
  ])
  res.end(body)
}

/**
 * Lets a response be read though its request's body has not come as a whole: closing now would reset the connection,
 * and with it what the client has not read. The rest is dropped as it comes, for 5 s at most.
 */
export function linger(req: IncomingMessage, res: ServerResponse): void {
  const { socket } = req
  // node:http would close at once after a last response; before it looks, this one is made not to be the last.
  res.prependOnceListener('finish', () => {
    ;(res as unknown as { _last: boolean })._last = false
  })
  res.once('finish', () => {
    const timer = setTimeout(() => socket.destroy(), LINGER).unref()
    socket.once('close', () => clearTimeout(timer))
    socket.end()
    req.on('error', () => undefined) // cut while it is dropped
    req.once('end', () => socket.destroySoon())
    req.removeAllListeners('data')
    req.on('data', () => undefined)
    req.resume()
  })
}
