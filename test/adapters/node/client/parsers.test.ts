// Parsers go from one connection to the next, and nothing of what they read goes with them.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { probe } from '../../../../adapters/node/client/parser.ts'
import { Parsers, type Listener } from '../../../../adapters/node/client/parsers.ts'

const HEAD = 'POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\n'

/** Parsers, how many were made, and listeners that note what they hear. */
function rig() {
  const server = createServer()
  server.maxHeadersCount = 0
  let made = 0
  server.on('connection', () => made++)
  const parsers = new Parsers(server, probe()!)
  const listen = () => {
    const heard: string[] = []
    const listener: Listener = {
      begins: () => heard.push('begins'),
      head: ([, , headers, , target]) => {
        heard.push(`${target} ${headers.join()}`)
        return 0
      },
      body: (bytes) => heard.push(Buffer.from(bytes).toString()),
      ends: () => heard.push('ends'),
    }
    return { heard, listener }
  }
  return { parsers, listen, made: () => made }
}

const ALL = ['begins', '/a Host,b,Content-Length,2', 'hi', 'ends']

test('one parser reads the requests of one connection after the other', () => {
  const { parsers, listen, made } = rig()
  for (let i = 0; i < 100; i++) {
    const { heard, listener } = listen()
    const parser = parsers.take(listener)
    assert.equal(parser.read(Buffer.from(`${HEAD}hi`)), HEAD.length + 2)
    parsers.give(parser, true)
    assert.deepEqual(heard, ALL)
  }
  assert.equal(made(), 1)
})

test('connections that are in the middle of a request have a parser each, told of nothing but their own', () => {
  const { parsers, listen, made } = rig()
  const lanes = Array.from({ length: 50 }, listen)
  const lent = lanes.map(({ listener }) => parsers.take(listener))
  for (const parser of lent) parser.read(Buffer.from(HEAD))
  for (const parser of lent) parser.read(Buffer.from('hi'))
  for (const parser of lent) parsers.give(parser, true)
  for (const { heard } of lanes) assert.deepEqual(heard, ALL)
  assert.equal(made(), 50)
})

test('a parser that stopped within a request, or found something wrong, is not used for another connection', () => {
  const { parsers, listen, made } = rig()
  for (const bytes of [HEAD, 'POST /a HT', 'what?\r\n\r\n']) {
    const broken = parsers.take(listen().listener)
    broken.read(Buffer.from(bytes))
    parsers.give(broken, false)
    const { heard, listener } = listen()
    const parser = parsers.take(listener)
    parser.read(Buffer.from(`${HEAD}hi`))
    assert.deepEqual(heard, ALL)
    parsers.give(parser, false)
  }
  assert.equal(made(), 6)
})

test('a head that came in many reads, and a trailer, leave nothing behind', () => {
  const { parsers, listen } = rig()
  const many = Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}\r\n`).join('')
  const [first, second] = [listen(), listen()]
  const parser = parsers.take(first.listener)
  for (const byte of Buffer.from(
    `POST /long HTTP/1.1\r\nHost: b\r\n${many}Transfer-Encoding: chunked\r\n\r\n`,
  ))
    parser.read(Buffer.of(byte))
  parser.read(Buffer.from('2\r\nhi\r\n0\r\nT: 1\r\n\r\n'))
  parsers.give(parser, true)
  assert.equal(first.heard[1]!.split(',').length, 2 * 102)
  assert.equal(parsers.take(second.listener), parser)
  parser.read(Buffer.from(`${HEAD}hi`))
  assert.deepEqual(second.heard, ALL)
})

test('an end within a request is wrong', () => {
  const { parsers, listen } = rig()
  const parser = parsers.take(listen().listener)
  parser.read(Buffer.from(HEAD))
  assert.equal((parser.finish() as { code?: string }).code, 'HPE_INVALID_EOF_STATE')
})
