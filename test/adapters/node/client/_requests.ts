// Conversations of clients that all servers of HTTP/1.1 here have to answer alike.
import { createServer } from 'node:http'

export const H = 'Host: a\r\n'
export const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const many = Array.from({ length: 70 }, (_, i) => `X-${i}: ${i}\r\n`).join('')

/** What clients may send on a connection, well or ill, up to its end. */
export const requests: Record<string, string> = {
  'a GET that keeps its connection, and one that closes it': `GET /a HTTP/1.1\r\n${H}\r\n${LAST}`,
  'a POST with a length': `POST /echo HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello${LAST}`,
  'a length of zero': `POST /echo HTTP/1.1\r\n${H}Content-Length: 0\r\n\r\n${LAST}`,
  'chunks, with extensions and trailers': `POST /echo HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n${LAST}`,
  'a HEAD': `HEAD /a HTTP/1.1\r\n${H}\r\n${LAST}`,
  'a HEAD of a stream': `HEAD /stream HTTP/1.1\r\n${H}\r\n${LAST}`,
  'a stream, in chunks': `GET /stream HTTP/1.1\r\n${H}\r\n${LAST}`,
  'an answer without a body': `GET /204 HTTP/1.1\r\n${H}\r\nGET /null HTTP/1.1\r\n${H}\r\nGET /304 HTTP/1.1\r\n${H}\r\n${LAST}`,
  'a large answer': `GET /large HTTP/1.1\r\n${H}\r\n${LAST}`,
  'a client of HTTP/1.0': `GET /a HTTP/1.0\r\n\r\n`,
  'a stream for a client of HTTP/1.0': `GET /stream HTTP/1.0\r\n${H}\r\n`,
  'a client of HTTP/1.0 that would keep its connection': `GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${LAST}`,
  'a client of HTTP/1.0 that waits in vain': `POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi`,
  'a request without a Host': `GET /a HTTP/1.1\r\n\r\n${LAST}`,
  'two Hosts': `GET /url HTTP/1.1\r\n${H}Host: b\r\n\r\n${LAST}`,
  'a client that waits to go on': `POST /echo HTTP/1.1\r\n${H}Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi${LAST}`,
  'more headers than fit one call of the parser': `GET /count HTTP/1.1\r\n${H}${many}\r\n${LAST}`,
  'an absolute target': `GET http://b/url HTTP/1.1\r\n${H}\r\n${LAST}`,
  'the server itself as the target': `OPTIONS * HTTP/1.1\r\n${H}\r\n${LAST}`,
  'an upgrade that is passed over': `GET /url HTTP/1.1\r\n${H}Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n`,
  'a tunnel': `CONNECT b:1 HTTP/1.1\r\n${H}\r\n`,
  'a method that nobody knows': `FROB /a HTTP/1.1\r\n${H}\r\n`,
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'both framings': `POST /echo HTTP/1.1\r\n${H}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'two lengths': `POST /echo HTTP/1.1\r\n${H}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
  'a length that is none': `POST /echo HTTP/1.1\r\n${H}Content-Length: +1\r\n\r\na`,
  'a coding that is not chunked': `POST /echo HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\na`,
  'a coding before chunked': `POST /echo HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
  'a coding on a line of its own': `POST /echo HTTP/1.1\r\n${H}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
  'a folded header': `GET /a HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n`,
  'bare line feeds': `GET /a HTTP/1.1\n${H}\n`,
  'a blank before a colon': `GET /a HTTP/1.1\r\n${H}X : y\r\n\r\n`,
  'a zero byte': `GET /a HTTP/1.1\r\n${H}X: \0\r\n\r\n`,
  'a broken chunk': `POST /echo HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\nz\r\n`,
  garbage: 'garbage\r\n\r\n',
  'a handler that throws': `GET /throw HTTP/1.1\r\n${H}\r\n`,
}

// Before 22.21 node:http took any upgrade for one, so it can't tell what a lane should say.
if (!('shouldUpgradeCallback' in createServer())) delete requests['an upgrade that is passed over']

/** Answers them. */
export async function handler(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === '/echo') return new Response(await request.bytes())
  if (pathname === '/url') return new Response(request.url)
  if (pathname === '/count') return new Response(`${[...request.headers].length}`)
  if (pathname === '/null') return new Response(null, { status: 201, statusText: 'Made' })
  if (pathname === '/204' || pathname === '/304')
    return new Response(null, { status: Number(pathname.slice(1)) })
  if (pathname === '/large') return new Response('x'.repeat(100_000))
  if (pathname === '/throw') throw new Error('bug')
  if (pathname !== '/stream') return new Response(`<${request.method} ${pathname}>`)
  const pieces = ['one', 'two', 'three'].values()
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    await new Promise((resolve) => setImmediate(resolve))
    const { value } = pieces.next()
    if (value === undefined) controller.close()
    else controller.enqueue(Buffer.from(value))
  }
  return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }))
}
