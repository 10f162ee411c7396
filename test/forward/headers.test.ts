import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerHeaders, headerOf, headersFor, readHeaders, retryAfterOf } from '../../src/forward/headers.ts'

const worker = { id: 'w', url: 'http://w', engine: 'vllm' }

test('what belongs to one connection stays behind, and what Connection names', () => {
  const headers = new Headers({
    connection: 'close, x-once',
    'x-once': '1',
    host: 'router',
    'content-length': '5',
    'transfer-encoding': 'chunked',
    te: 'trailers',
    'proxy-authorization': 'secret',
    'accept-encoding': 'gzip',
    traceparent: '00-1-2-01',
    'x-any': 'thing',
  })
  const { passed } = readHeaders(headers, 'x-request-id', { isOurs: false })
  assert.deepEqual(passed, ['accept-encoding', 'identity', 'traceparent', '00-1-2-01', 'x-any', 'thing'])
})

test('a value that no worker would take is refused', () => {
  const headers = new Headers({ 'x-any': 'a\x7fb' })
  const read = () => readHeaders(headers, 'x-request-id', { isOurs: false })
  assert.throws(read, { status: 400, code: 'bad_request' })
})

test("a client's key passes to a worker without a key, and only when the router has none of its own", () => {
  const headers = new Headers({ authorization: 'Bearer client', 'x-api-key': 'client' })
  const open = readHeaders(headers, 'x-request-id', { isOurs: false })
  assert.equal(headerOf(headersFor(worker, open, []), 'authorization'), 'Bearer client')
  const keyed = { ...worker, apiKey: 'workers' }
  assert.deepEqual(
    headersFor(keyed, open, []).filter((_, index, all) => all[index - 1] === 'authorization'),
    ['Bearer workers'],
  )
  assert.equal(headerOf(headersFor(keyed, open, []), 'x-api-key'), undefined)
  const ours = readHeaders(headers, 'x-request-id', { isOurs: true })
  assert.equal(headerOf(headersFor(worker, ours, []), 'authorization'), undefined)
})

test("a worker's extra headers win over the client's of the same names", () => {
  const headers = readHeaders(new Headers({ 'CF-Access-Client-Id': 'forged', a: 'b' }), 'x-request-id', {
    isOurs: false,
  })
  const sent = headersFor({ ...worker, headers: { 'CF-Access-Client-Id': 'ours' } }, headers, [
    'x-request-id',
    'r',
  ])
  assert.deepEqual(sent, [
    'accept-encoding',
    'identity',
    'a',
    'b',
    'x-request-id',
    'r',
    'cf-access-client-id',
    'ours',
  ])
})

test("an engine's headers pass in order, ours in place of its own of the same names", () => {
  const engine = ['Content-Type', 'a/b', 'X-Request-Id', 'engine', 'Set-Cookie', '1', 'Set-Cookie', '2']
  assert.deepEqual(answerHeaders(engine, ['x-request-id', 'ours']), [
    'Content-Type',
    'a/b',
    'Set-Cookie',
    '1',
    'Set-Cookie',
    '2',
    'x-request-id',
    'ours',
  ])
})

test('Retry-After as seconds, as a date, and as nonsense', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  assert.equal(retryAfterOf(['Retry-After', '1.5'], now), 1500)
  assert.equal(retryAfterOf(['retry-after', 'Thu, 01 Jan 2026 00:00:07 GMT'], now), 7000)
  assert.equal(retryAfterOf(['retry-after', 'soon'], now), undefined)
  assert.equal(retryAfterOf([], now), undefined)
})
