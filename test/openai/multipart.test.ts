import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { join } from '../../src/openai/bytes.ts'
import {
  boundaryOf,
  peekMultipartModel,
  readMultipartField,
  readMultipartFields,
  setMultipartField,
} from '../../src/openai/multipart.ts'
import { decode, encode } from './_json.ts'

const boundary = 'X-BOUND'
const field = (name: string, value: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = (value: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="model.wav"\r\nContent-Type: audio/wav\r\n\r\n${value}\r\n`
const close = `--${boundary}--\r\n`

const types: [string, string | null][] = [
  ['multipart/form-data; boundary=abc', 'abc'],
  ['Multipart/Form-Data; charset=utf-8; Boundary="a b:c"', 'a b:c'],
  ['multipart/form-data;boundary="a\\"b"', 'a"b'],
  ['multipart/form-data; boundary=abc; charset=utf-8', 'abc'],
  ['multipart/form-data', null],
  ['multipart/form-data; boundary=', null],
  ['application/json; boundary=abc', null],
]
for (const [type, expected] of types) {
  test(`the boundary of ${type}`, () => assert.equal(boundaryOf(type), expected))
}

test('forms that a real client encodes are read and set', async () => {
  const text = fc
    .string({ unit: 'binary', maxLength: 20 })
    .map((value) => value.replace(/\r\n?|\n/g, '\r\n').toWellFormed())
  await fc.assert(
    fc.asyncProperty(
      text,
      text,
      fc.uint8Array({ maxLength: 200 }),
      fc.boolean(),
      async (model, other, sound, isFirst) => {
        const form = new FormData()
        if (isFirst) form.append('model', model)
        form.append('file', new Blob([sound as Uint8Array<ArrayBuffer>]), 'a.wav')
        form.append('prompt', other)
        if (!isFirst) form.append('model', model)
        const request = new Response(form)
        const type = request.headers.get('content-type')!
        const bytes = new Uint8Array(await request.arrayBuffer())
        const mark = boundaryOf(type)!
        assert.deepEqual(readMultipartFields(bytes, mark, ['model', 'prompt', 'stream']), {
          model,
          prompt: other,
        })
        const edited = await new Response(
          join(setMultipartField(bytes, mark, 'model', 'other')) as Uint8Array<ArrayBuffer>,
          { headers: { 'content-type': type } },
        ).formData()
        assert.equal(edited.get('model'), 'other')
        assert.equal(edited.get('prompt'), other)
        assert.deepEqual(new Uint8Array(await (edited.get('file') as File).arrayBuffer()), sound)
      },
    ),
    { numRuns: 100 },
  )
})

test('a field that is absent goes to the front', async () => {
  const parts = setMultipartField(encode(`preamble\r\n${file('RIFF')}${close}`), boundary, 'model', 'm')
  assert.equal(decode(parts), `preamble\r\n${field('model', 'm')}${file('RIFF')}${close}`)
})

test('the file is not copied when the model changes', () => {
  const bytes = encode(field('model', 'a') + file('RIFF') + close)
  const parts = setMultipartField(bytes, boundary, 'model', 'longer')
  assert.equal(parts.length, 3)
  assert.equal(parts[2]!.buffer, bytes.buffer)
})

test('the last of equal fields is read, and all of them are set', () => {
  const bytes = encode(field('model', 'a') + field('model', 'b') + close)
  assert.equal(readMultipartField(bytes, boundary, 'model'), 'b')
  assert.equal(
    decode(setMultipartField(bytes, boundary, 'model', 'c')),
    field('model', 'c') + field('model', 'c') + close,
  )
})

test('an empty value is a value', () => {
  assert.equal(readMultipartField(encode(field('model', '') + close), boundary, 'model'), '')
})

test('a boundary look-alike inside a file is no boundary', () => {
  const bytes = encode(file(`\r\n--${boundary.slice(0, -1)}\r\n--X`) + field('model', 'm') + close)
  assert.equal(readMultipartField(bytes, boundary, 'model'), 'm')
})

test('a name without quotes, among odd headers, is read', () => {
  const bytes = encode(
    `--${boundary} \r\nX-A: b\r\ncontent-disposition:form-data; name=model\r\n\r\nm\r\n${close}`,
  )
  assert.equal(readMultipartField(bytes, boundary, 'model'), 'm')
})

test('the model of a first part is seen before the upload is whole', () => {
  const bytes = encode(field('model', 'whisper') + file('RIFF'))
  assert.equal(peekMultipartModel(bytes.subarray(0, 140), boundary), 'whisper')
  assert.equal(peekMultipartModel(bytes.subarray(0, 62), boundary), null)
})

test('what is no form tells nothing and comes back as it is', () => {
  for (const text of [
    '',
    '--',
    'x',
    '{}',
    `--${boundary}`,
    `--${boundary}--`,
    `--${boundary}\r\n`,
    `--${boundary}\r\n\r\n`,
  ]) {
    const bytes = encode(text)
    assert.equal(readMultipartField(bytes, boundary, 'model'), null)
    if (!text.startsWith(`--${boundary}`))
      assert.deepEqual(setMultipartField(bytes, boundary, 'model', 'm'), [bytes])
  }
})

test('noise never crashes the reader', () => {
  const bits = fc.constantFrom(
    `--${boundary}`,
    '--',
    '\r\n',
    '\r\n\r\n',
    'Content-Disposition: form-data; name="model"',
    'x',
  )
  fc.assert(
    fc.property(fc.array(bits, { maxLength: 12 }), (parts) => {
      const bytes = encode(parts.join(''))
      readMultipartField(bytes, boundary, 'model')
      assert.ok(setMultipartField(bytes, boundary, 'model', 'm').length > 0 || bytes.length === 0)
    }),
    { numRuns: 500 },
  )
})
