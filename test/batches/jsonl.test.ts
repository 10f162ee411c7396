import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyOf, checkLine, Cutter, MAX_LINE, type Cut } from '../../src/batches/jsonl.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

function cut(text: string, size: number): Cut[] {
  const cutter = new Cutter()
  const bytes = bytesOf(text)
  const cuts: Cut[] = []
  for (let at = 0; at < bytes.length; at += size) cuts.push(...cutter.cut(bytes.subarray(at, at + size)))
  return [...cuts, ...cutter.end()]
}

test('lines are cut wherever the pieces are, and each is where it says', () => {
  const text = 'one\n\n  \ntwo \u{1F600}\r\n{"three":\t3}\n\nfour'
  const bytes = bytesOf(text)
  for (let size = 1; size <= bytes.length; size++) {
    const cuts = cut(text, size)
    assert.deepEqual(
      cuts.map(({ line }) => line),
      [1, 4, 5, 7],
    )
    for (const { start, bytes: line } of cuts)
      assert.equal(textOf(bytes.subarray(start, start + line!.length)), textOf(line!))
    assert.equal(textOf(cuts.at(-1)!.bytes!), 'four')
  }
})

test('a last line with a break is no further line', () => {
  assert.deepEqual(
    cut('a\nb\n', 3).map(({ line }) => line),
    [1, 2],
  )
})

test('a line that is too long is told of without being held, and the next one is where it is', () => {
  const cutter = new Cutter()
  const piece = new Uint8Array(1024 * 1024).fill(0x61)
  const cuts: Cut[] = []
  for (let count = 0; count < 17; count++) cuts.push(...cutter.cut(piece))
  cuts.push(...cutter.cut(bytesOf('\nnext')), ...cutter.end())
  assert.deepEqual(
    cuts.map(({ line, start, bytes }) => [line, start, bytes && textOf(bytes)]),
    [
      [1, 0, null],
      [2, 17 * 1024 * 1024 + 1, 'next'],
    ],
  )
  assert.ok(MAX_LINE < 17 * 1024 * 1024)
})

const ENDPOINT = '/v1/embeddings'
const good = { custom_id: 'a', method: 'POST', url: ENDPOINT, body: { model: 'm' } }
const check = (text: string, known: string[] = []) =>
  checkLine({ line: 3, start: 0, bytes: bytesOf(text) }, ENDPOINT, new Set(known))

test('a good line is known by its custom_id', () => {
  assert.equal(check(JSON.stringify(good)), 'a')
  assert.equal(check(`\ufeff${JSON.stringify({ ...good, more: 1 })}\r`), 'a')
})

for (const [what, change, code, param] of [
  ['no custom_id', { custom_id: undefined }, 'missing_required_parameter', 'custom_id'],
  ['a number as custom_id', { custom_id: 1 }, 'missing_required_parameter', 'custom_id'],
  ['an empty custom_id', { custom_id: '' }, 'missing_required_parameter', 'custom_id'],
  ['an endless custom_id', { custom_id: 'x'.repeat(513) }, 'invalid_custom_id', 'custom_id'],
  ['a custom_id that was there', { custom_id: 'before' }, 'duplicate_custom_id', 'custom_id'],
  ['no method', { method: undefined }, 'invalid_method', 'method'],
  ['another method', { method: 'GET' }, 'invalid_method', 'method'],
  ['another endpoint', { url: '/v1/completions' }, 'invalid_url', 'url'],
  ['a whole URL', { url: `https://api.example${ENDPOINT}` }, 'invalid_url', 'url'],
  ['no body', { body: undefined }, 'missing_required_parameter', 'body'],
  ['a list as body', { body: [] }, 'missing_required_parameter', 'body'],
  ['a body that streams', { body: { stream: true } }, 'stream_not_supported', 'body.stream'],
] as const)
  test(`a line with ${what} is ${code}`, () => {
    const found = check(JSON.stringify({ ...good, ...change }), ['before'])
    assert.ok(typeof found === 'object')
    assert.deepEqual([found.code, found.param, found.line], [code, param, 3])
    assert.notEqual(found.message, '')
  })

for (const text of ['{', '[]', '"a"', 'null', '{} {}', '{"a":"\xff"'])
  test(`${text} is no JSON line`, () => {
    const found = check(text)
    assert.ok(typeof found === 'object')
    assert.equal(found.code, 'invalid_json_line')
  })

test('bytes that are no UTF-8 are no JSON line', () => {
  const found = checkLine({ line: 1, start: 0, bytes: Uint8Array.of(0x22, 0xff, 0x22) }, ENDPOINT, new Set())
  assert.ok(typeof found === 'object' && found.code === 'invalid_json_line')
})

test('the body of a line goes out as it stands there, numbers and all', () => {
  const body = '{ "seed": 9223372036854775807, "t": 1.0, "model":"m" }'
  const line = `{"body":{"a":1},"custom_id":"a","body" : ${body} , "url":"u"}`
  assert.equal(textOf(bodyOf(bytesOf(line))), body)
})
