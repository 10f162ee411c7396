// Holds our client against undici on one answer: the same, or a difference that is meant.
import assert from 'node:assert/strict'
import type { Case } from './_answers.ts'
import type { Result } from './_clients.ts'

/** What undici refuses and we take, with where that is safe. By undici's message; all in the wire must match, too. */
const TAKEN: readonly (readonly [RegExp, RegExp])[] = [
  // RFC 9112 §6.3: chunked wins. No byte behind it is used: the connection is closed.
  [/can't be present with/, /content-length[^]*transfer-encoding|transfer-encoding[^]*content-length/i],
  // We cut at the announced length and close; and HEAD, 204 and 304 have a length but no body.
  [/CONTENT_LENGTH_MISMATCH/, /content-length/i],
  // RFC 9110 §15.2: a 100 that nobody waits for is passed over.
  [/bad response/, /^HTTP\/1\.1 100 /],
  // RFC 9110 §8.6: equal lengths are one.
  [/Duplicate Content-Length/, /content-length[^]*content-length/i],
  [/Invalid character in Content-Length/, /content-length: +\d+\t/i],
  // Extensions and trailers are dropped unread, up to a line's end.
  [/Invalid character in chunk (size|extensions)/, /^[\da-f]+[ \t;]/im],
  [/Invalid header token|Invalid header value/, /^0\r\n[^]+\r\n\r\n/m],
]

/** What we refuse and undici takes. */
const REFUSED: readonly (readonly [RegExp, RegExp])[] = [
  [/not HTTP\/1\.1|no HTTP\/1\.1 status line/, /(^|\r\n\r\n)(\r\n|HTTP\/2\.0)|HTTP\/1\.2/],
  // It could only be read by guessing where it ends.
  [/transfer coding that nobody asked for/, /transfer-encoding/i],
]

const HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'trailer', 'upgrade'])

/** Throws when the two clients differ in a way that is not meant. */
export function hold(given: Case, ours: Result, oracle: Result): void {
  const { wire } = given
  if ('failure' in oracle) {
    if ('failure' in ours) return
    const { failure } = oracle
    assert.ok(isMeant(TAKEN, failure, wire), `undici refuses: ${failure}`)
    return
  }
  if ('failure' in ours) {
    assert.ok(isMeant(REFUSED, ours.failure, wire), `only we refuse: ${ours.failure}`)
    return
  }
  assert.equal(ours.status, oracle.status)
  assert.equal(ours.body, oracle.body)
  assert.deepEqual(ours.headers, endToEnd(oracle.headers))
}

function isMeant(list: typeof TAKEN, failure: string, wire: string): boolean {
  return list.some(([message, part]) => message.test(failure) && part.test(wire))
}

/** What a proxy passes on of the headers that undici read. */
function endToEnd(headers: readonly string[]): string[] {
  const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]!] as const] : []))
  const valuesOf = (wanted: string) => pairs.filter(([name]) => name.toLowerCase() === wanted)
  const named = valuesOf('connection').flatMap(([, value]) =>
    value
      .toLowerCase()
      .split(',')
      .map((one) => one.trim()),
  )
  const dropped = new Set([...HOP, ...named])
  if (valuesOf('transfer-encoding').some(([, value]) => value !== '')) dropped.add('content-length')
  return pairs
    .filter(([name]) => !dropped.has(name.toLowerCase()))
    .flatMap(([name, value]) => [name, value.trimEnd()])
}
