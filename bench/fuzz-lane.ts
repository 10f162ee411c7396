// Fuzzes clients' lanes against node:http's own messages: `node bench/fuzz-lane.ts [seconds] [seed]`.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import fc from 'fast-check'
import { serve } from '../adapters/node/http.ts'

const seconds = Number(process.argv[2] ?? 60)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
const until = Date.now() + seconds * 1000

const lines = [
  'Host: a',
  'Host: b',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: upgrade',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Content-Length: 3',
  'Content-Length: 03',
  'Content-Length: -1',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'TE: trailers',
  ' folded',
  'X: \x01',
  'no colon',
  'X-Long: ' + 'y'.repeat(3000),
]
const bodies = ['', 'abc', '3\r\nabc\r\n0\r\n\r\n', '3;e\r\nabc\r\n0\r\nT: 1\r\n\r\n', 'zz\r\n', 'abcdef']
const request = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', 'OPTIONS', 'CONNECT', 'FROB'),
    target: fc.constantFrom('/', '/echo', '/none', '/204', '*', 'http://c/echo', '/\x7f', ''),
    version: fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', ''),
    headers: fc.array(fc.constantFrom(...lines), { maxLength: 5 }),
    hasHost: fc.integer({ min: 0, max: 9 }),
    end: fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\n'),
    body: fc.constantFrom(...bodies),
  })
  .map(({ method, target, version, headers, hasHost, end, body }) => {
    const all = hasHost > 0 ? ['Host: a', ...headers] : headers
    return `${[`${method} ${target} ${version}`, ...all].join(end)}${end}${end}${body}`
  })
/** Of clients that send the same head again, but for the length; mostly nothing is wrong with it. */
const again = fc
  .record({
    length: fc.constantFrom(0, 3, 6, 12, 200),
    odd: fc.oneof(
      { weight: 4, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.constantFrom('03', '+3', '3,3', '3 3', '-3', '', '9999999999999999') },
    ),
    more: fc.oneof(
      { weight: 5, arbitrary: fc.constant('') },
      {
        weight: 1,
        arbitrary: fc.constantFrom('Content-Length: 3\r\n', 'Connection: close\r\n', 'X: \x01\r\n'),
      },
    ),
  })
  .map(({ length, odd, more }) => {
    const head = `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${odd ?? length}\r\n${more}\r\n`
    return head + 'b'.repeat(length)
  })
const last = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const given = fc.record({
  requests: fc.array(fc.oneof(request, again, again), { minLength: 1, maxLength: 5 }),
  /** Each request is a piece, and what is cut is cut again. */
  isApart: fc.boolean(),
  cut: fc.double({ min: 0, max: 1, noNaN: true }),
})

/** A server, and the requests that its handler got to see whole. */
async function front(lanes: boolean) {
  const seen: string[] = []
  const handler = async (asked: Request): Promise<Response> => {
    const body = await asked.text()
    seen.push(`${asked.method} ${asked.url} ${JSON.stringify(body)}`)
    if (asked.url.endsWith('/204')) return new Response(null, { status: 204 })
    return asked.url.endsWith('/none') ? new Response(null) : new Response(`<${asked.method} ${body}>`)
  }
  return { seen, served: await serve(handler, { maxHeader: 2048, lanes }) }
}

/** Sends the pieces; what the handler saw of them, and the statuses that came back until the connection ended. */
async function tell({ seen, served }: Awaited<ReturnType<typeof front>>, pieces: readonly string[]) {
  seen.length = 0
  const socket = connect({ port: served.port, host: '127.0.0.1', noDelay: true })
  let text = ''
  socket.on('data', (bytes) => (text += bytes.toString('latin1')))
  socket.on('error', () => undefined)
  // What waits for more of its body would wait for ever.
  let isCut = false
  const timer = setTimeout(() => {
    isCut = true
    socket.destroy()
  }, 200)
  const closed = new Promise((resolve) => socket.on('close', resolve))
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece, 'latin1')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await closed
  clearTimeout(timer)
  return {
    isCut,
    calls: [...seen],
    statuses: [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status),
  }
}

/** The texts, of which one is cut where so many bytes of all have passed. */
function piecesOf(texts: readonly string[], cut: number): string[] {
  const pieces: string[] = []
  let at = cut
  for (const text of texts) {
    if (at > 0 && at < text.length) pieces.push(text.slice(0, at), text.slice(at))
    else pieces.push(text)
    at -= text.length
  }
  return pieces
}

const [lane, ordinary] = [await front(true), await front(false)]
// The same requests, and none that the other would not have seen. In which order node:http's handlers have read the bodies of
// pipelined requests is chance: it serves them side by side, where a lane serves one behind the other. A lane stops where node:http goes on: behind a
// refusal, and behind a last response. Whatever node:http answers is answered alike, unless it was refused.
const property = fc.asyncProperty(given, async ({ requests, isApart, cut }) => {
  const texts = isApart ? [...requests, last] : [requests.join('') + last]
  const at = Math.floor(texts.join('').length * cut)
  const pieces = piecesOf(texts, at)
  // node:http drops what comes in one piece with a request whose upgrade is passed over.
  const passed = texts.map((text) => text.replaceAll('Upgrade: h2c', 'X-Grade: h2c'))
  const [ours, theirs] = [await tell(lane, pieces), await tell(ordinary, piecesOf(passed, at))]
  const about = JSON.stringify({ pieces, ours, theirs }, null, 1)
  const others = [...theirs.calls]
  for (const call of ours.calls) {
    assert.ok(others.includes(call), about)
    others.splice(others.indexOf(call), 1)
  }
  if (
    ours.isCut ||
    theirs.isCut ||
    [...ours.statuses, ...theirs.statuses].some((status) => Number(status) >= 400)
  )
    return
  // Nor does a lane wait for the responses before it when a connection shall become a tunnel.
  if (requests.some((request) => request.startsWith('CONNECT'))) return
  assert.deepEqual(theirs.statuses, ours.statuses.slice(0, theirs.statuses.length), about)
})
let runs = 0
while (Date.now() < until) {
  await fc.assert(property, { seed: seed + runs, numRuns: 50 })
  runs += 50
}
await Promise.all([lane.served.close(0), ordinary.served.close(0)])
console.log(`${runs} conversations, seed ${seed}: as node:http`)
