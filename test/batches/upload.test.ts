import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PIECE } from '../../src/batches/tables.ts'
import { readUpload } from '../../src/batches/upload.ts'
import { Refusal } from '../../src/openai/errors.ts'

const B = 'xyz'
const part = (disposition: string, value: string, more = '') =>
  `--${B}\r\nContent-Disposition: form-data; ${disposition}\r\n${more}\r\n${value}\r\n`
const END = `--${B}--\r\n`

async function read(body: string | Uint8Array, size = Infinity, boundary = B) {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  const pieces: Uint8Array[] = []
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size)
      yield bytes.subarray(at, Math.min(bytes.length, at + size))
  }
  const { fields, filename } = await readUpload(chunks(), boundary, async (piece) => void pieces.push(piece))
  const file = new TextDecoder().decode(await new Blob(pieces as BlobPart[]).bytes())
  return { fields: Object.fromEntries(fields), filename, file, sizes: pieces.map((piece) => piece.length) }
}

test('a form is read alike wherever its chunks are cut', async () => {
  const text = 'a\r\n--xy\r\n-- \u{1F600}\r\n\r\n--x'
  const body =
    `a preamble\r\n${part('name="purpose"', 'batch')}` +
    part('name="file"; filename="in.jsonl"', text, 'Content-Type: application/jsonl\r\n') +
    part('name="expires_after[seconds]"', '3600') +
    `${END}and what stands behind it`
  for (let size = 1; size < 60; size++)
    assert.deepEqual(await read(body, size), {
      fields: { purpose: 'batch', 'expires_after[seconds]': '3600' },
      filename: 'in.jsonl',
      file: text,
      sizes: [new TextEncoder().encode(text).length],
    })
})

test('what the platform writes is read', async () => {
  const form = new FormData()
  form.set('file', new File(['text'], 'ü "x".jsonl'))
  form.set('purpose', 'batch')
  const response = new Response(form)
  const boundary = /boundary=(.*)$/.exec(response.headers.get('content-type')!)![1]!
  const { fields, file } = await read(await response.bytes(), 7, boundary)
  assert.deepEqual([fields, file], [{ purpose: 'batch' }, 'text'])
})

test('a large file goes on in pieces of one size', async () => {
  const text = 'x'.repeat(2 * PIECE + 5)
  const { sizes, file } = await read(part('name="file"; filename="f"', text) + END, 10_000)
  assert.deepEqual(sizes, [PIECE, PIECE, 5])
  assert.equal(file.length, text.length)
})

for (const [given, kept] of [
  ['../../etc/passwd', 'passwd'],
  ['C:\\\\files\\\\in.jsonl', 'in.jsonl'],
  ['', 'file'],
  ['..', '..'],
  ['a\u0000b\u202ec', 'abc'],
  ['x'.repeat(400), 'x'.repeat(255)],
])
  test(`the name ${JSON.stringify(given?.slice(0, 30))} is kept without what no name has`, async () => {
    assert.equal((await read(part(`name="file"; filename="${given}"`, 'x') + END)).filename, kept)
  })

for (const [what, body] of [
  ['ends early', part('name="file"', 'x')],
  ['is none', 'some bytes'],
  ['has two files', part('name="file"', 'x') + part('name="file"', 'y') + END],
  ['has endless headers', `--${B}\r\nX: ${'x'.repeat(20_000)}\r\n\r\nx\r\n${END}`],
  ['has endless fields', part('name="a"', 'x'.repeat(40_000)) + part('name="b"', 'x'.repeat(40_000)) + END],
])
  test(`a form that ${what} is refused`, async () => {
    const isForm = (error: unknown) => error instanceof Refusal && error.code === 'invalid_form'
    await assert.rejects(read(body!, 1000), isForm)
  })
