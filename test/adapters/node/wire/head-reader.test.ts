// A head of an answer that comes again is read as if nothing were known, whatever its length, time and ids are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeadReader } from '../../../../adapters/node/wire/head-reader.ts'
import { parseHead } from '../../../../adapters/node/wire/head.ts'
import { UpstreamFailure } from '../../../../src/host.ts'

test('a head that comes again is not read again, unless it answers another method', () => {
  const heads = new HeadReader()
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'
  const read = (bytes: string, method: string) => heads.read(Buffer.from(bytes, 'latin1'), method)
  const first = read(`${text}abc`, 'POST')
  assert.equal(first?.size, text.length)
  assert.equal(read(`${text}def`, 'POST'), first)
  assert.deepEqual(read(text, 'HEAD')?.framing, { kind: 'none' })
  assert.deepEqual(read(text.replace('3', '4'), 'POST')?.framing, { kind: 'length', length: 4 })
  assert.throws(() => read('HTTP/1.1 200 OK\r\nbroken\r\n\r\n', 'POST'), UpstreamFailure)
})

test('a head that is not whole is none yet, however much it looks like the last one', () => {
  const heads = new HeadReader()
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'
  assert.equal(heads.read(Buffer.from(text), 'GET')?.status, 200)
  for (let size = 0; size < text.length; size++)
    assert.equal(heads.read(Buffer.from(text.slice(0, size)), 'GET'), null)
})

test('a head is known by the bytes that came, and not by what lies behind them from before', () => {
  const heads = new HeadReader()
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'
  const memory = Buffer.from(`${text}abc`)
  const first = heads.read(memory, 'GET')
  assert.equal(heads.again(memory, memory.length, 'GET'), first)
  assert.equal(heads.again(memory, text.length, 'GET'), first)
  for (let end = 0; end < text.length; end++) assert.equal(heads.again(memory, end, 'GET'), null)
})

const bytesOf = (text: string) => Buffer.from(text, 'latin1')

/** What the parser alone makes of it. */
function alone(text: string, method = 'POST') {
  try {
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return null
    const { raw: _raw, ...head } = parseHead(text.slice(0, end + 4), method)
    return head
  } catch (error) {
    return String(error)
  }
}

function read(heads: HeadReader, text: string, method = 'POST') {
  try {
    return heads.read(bytesOf(text), method)
  } catch (error) {
    return String(error)
  }
}

const answer = (second: number, length: string, id: string) =>
  `HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 06:00:0${second} GMT\r\nserver: uvicorn\r\ncontent-length: ${length}\r\ncontent-type: application/json\r\nx-request-id: ${id}\r\n\r\n`

test('another length, time or id is read off a known head', () => {
  const heads = new HeadReader()
  for (let i = 0; i < 6; i++) {
    const text = answer(i, String(9 ** i), 'a'.repeat(1 + (i % 3)))
    assert.deepEqual(read(heads, text), alone(text))
  }
  const text = answer(7, '12', 'b c')
  assert.equal(read(heads, text), read(heads, text))
})

const strange: Record<string, string> = {
  'no digits': answer(1, '', 'a'),
  'a sign': answer(1, '+5', 'a'),
  'a leading zero': answer(1, '05', 'a'),
  'too many digits': answer(1, '1234567890123456', 'a'),
  'an empty value': answer(1, '5', ''),
  'a blank before a value': answer(1, '5', '  a'),
  'a blank behind a value': answer(1, '5', 'a \t'),
  'a tab within': answer(1, '5', 'a\tb'),
  'latin1 within': answer(1, '5', 'caf\xe9'),
  'a control within': answer(1, '5', 'a\x01b'),
  'a line feed within': answer(1, '5', 'a\nb: c'),
  'another line': answer(1, '5', 'a\r\nb: c'),
  'another framing': answer(1, '5', 'a\r\ntransfer-encoding: chunked'),
  'another length': answer(1, '5', 'a\r\ncontent-length: 6'),
  'the same length again': answer(1, '5', 'a\r\ncontent-length: 5'),
  'another status': answer(1, '5', 'a').replace('200', '404'),
  'a close': answer(1, '5', 'a').replace('server: uvicorn', 'connection: close'),
  'another type': answer(1, '5', 'a').replace('application/json', 'text/event-stream'),
}
for (const [name, text] of Object.entries(strange)) {
  test(`${name} is read as if nothing were known`, () => {
    const heads = new HeadReader()
    for (let i = 0; i < 4; i++) read(heads, answer(i, '5', `id${i}`))
    for (let i = 0; i < 4; i++) assert.deepEqual(read(heads, text), alone(text))
    assert.deepEqual(read(heads, answer(5, '6', 'id')), alone(answer(5, '6', 'id')))
  })
}

test('an answer to HEAD, or without a body, keeps its length to itself', () => {
  const heads = new HeadReader()
  for (const method of ['HEAD', 'POST', 'HEAD'])
    for (const length of ['5', '6', '7', '8'])
      for (const status of ['200', '204', '304']) {
        const text = answer(1, length, length).replace('200', status)
        assert.deepEqual(read(heads, text, method), alone(text, method))
      }
})

test('what hop-by-hop lines say is read each time', () => {
  const heads = new HeadReader()
  const kept = (timeout: number, id: string) =>
    `HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Own\r\nX-Own: ${id}\r\nKeep-Alive: timeout=${timeout}\r\nX-Id: ${id}\r\nContent-Length: ${timeout}\r\n\r\n`
  for (let i = 1; i < 9; i++) {
    const text = kept(i >> 1, `id${i}`)
    assert.deepEqual(read(heads, text), alone(text))
  }
})

test('any head is read as the parser alone reads it, whatever came before', () => {
  const value = fc.constantFrom(
    'a',
    'bc',
    'd e',
    'é',
    '',
    ' f',
    'g ',
    '5',
    '05',
    '17',
    'close',
    'keep-alive',
    'h\r\ni: j',
  )
  const name = fc.constantFrom(
    'Date',
    'X-Id',
    'content-length',
    'Connection',
    'Keep-Alive',
    'Server',
    'transfer-encoding',
  )
  const line = fc.tuple(name, value).map(([one, other]) => `${one}: ${other}\r\n`)
  const status = fc.constantFrom('200 OK', '204 No Content', '500 Oh')
  const shape = fc.record({ status, names: fc.uniqueArray(name, { maxLength: 4 }) })
  const text = fc.oneof(
    fc
      .record({ status, lines: fc.array(line, { maxLength: 4 }) })
      .map((one) => `HTTP/1.1 ${one.status}\r\n${one.lines.join('')}\r\nbody`),
    fc.constant(''),
  )
  let again = 0
  fc.assert(
    fc.property(
      shape,
      fc.array(fc.array(value, { minLength: 4, maxLength: 4 }), { minLength: 2, maxLength: 8 }),
      fc.array(text, { maxLength: 2 }),
      (one, sets, others) => {
        const heads = new HeadReader()
        const texts = sets.map(
          (values) =>
            `HTTP/1.1 ${one.status}\r\n${one.names.map((each, i) => `${each}: ${values[i]}\r\n`).join('')}\r\nbody`,
        )
        for (const each of [...texts, ...others, ...texts]) {
          const got = read(heads, each)
          assert.deepEqual(got, alone(each))
          if (typeof got === 'object' && got !== null && got === read(heads, each)) again++
        }
      },
    ),
    { numRuns: 1500 },
  )
  assert.ok(again > 2000, `${again}`)
})
