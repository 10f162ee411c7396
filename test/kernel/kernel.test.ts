import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import fc from 'fast-check'
import { MOST, useKernel, type Kernel } from '../../src/kernel/kernel.ts'
import { MODULE } from '../../src/kernel/module.ts'
import { installKernel, makeKernel } from '../../src/kernel/wasm.ts'
import { scanTop } from '../../src/openai/scan.ts'
import { hashBlocks } from '../../src/prefix/blocks.ts'
import { readPrompt, type Prompt } from '../../src/prefix/prompt.ts'
import { MAX_BYTES } from '../../src/prefix/sizes.ts'
import { encode, rawObject, rawString, rawValue } from '../openai/_json.ts'

const root = join(import.meta.dirname, '../..')
const kernel = makeKernel()!
/** Counts what was asked of it, so that a test can tell that it was. */
let asked = 0
const counted: Kernel = new Proxy(kernel, {
  get(target, name) {
    if (name === 'load') asked++
    const value: unknown = Reflect.get(target, name, target)
    return typeof value === 'function' ? value.bind(target) : value
  },
  set: (target, name, value) => Reflect.set(target, name, value, target),
})

afterEach(() => useKernel(null))

/** All that is read of a body; the error where it is none. */
function readingOf(bytes: Uint8Array) {
  try {
    const top = scanTop(bytes)
    const members = Array.from({ length: top.size }, (_, index) => top.member(index))
    const prompt = readPrompt(top, 'm')
    const { keys, spans, length } = prompt
    return { object: top.object, members, keys, spans, length, hashes: hashBlocks(prompt) }
  } catch (error) {
    return String(error)
  }
}

/** Reads a body without and with the kernel. */
function bothOf(bytes: Uint8Array) {
  useKernel(null)
  const without = readingOf(bytes)
  useKernel(counted)
  return [readingOf(bytes), without] as const
}

function isSame(bytes: Uint8Array): void {
  const [one, other] = bothOf(bytes)
  assert.deepEqual(one, other)
}

/** As many bytes before as are asked for, so that words lie across. */
function shifted(text: string, shift: number): Uint8Array {
  const bytes = encode(text)
  const buffer = new Uint8Array(bytes.length + shift + 3)
  buffer.set(bytes, shift)
  return buffer.subarray(shift, shift + bytes.length)
}

const content = fc.oneof(
  { weight: 3, arbitrary: rawString },
  fc.constantFrom(
    '"cache_control":{"type":"ephemeral"}',
    `"${'a b'.repeat(500)}"`,
    `"${'\\\\'.repeat(40)}\\""`,
  ),
  fc.constantFrom('"0123456789abc"', `"data:image/png;base64,${'iVBO'.repeat(400)}"`),
)
const someMessage = fc
  .tuple(content, content, fc.constantFrom('', ',"cache_control":{"type":"ephemeral"}', ',"data":'))
  .map(([role, text, mark]) => {
    const more = mark.endsWith(':') ? `${mark}"${'QUJD'.repeat(300)}"` : mark
    return `{"role":${quoted(role)},"content":${quoted(text)}${more}}`
  })
const quoted = (text: string) => (text.startsWith('"') && !text.includes('":') ? text : JSON.stringify(text))
const someBody = fc
  .tuple(fc.array(someMessage, { minLength: 5, maxLength: 60 }), fc.nat(3), rawValue)
  .map(([messages, where, value]) => {
    const members = ['"model":"m"', `"messages":[${messages.join(',')}]`, `"x":${value}`, `"cache_salt":"s"`]
    const from = where % members.length
    return `{${[...members.slice(from), ...members.slice(0, from)].join(', ')}}`
  })

test('the module is what its source says, and takes less than 4 KB', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kernel-'))
  try {
    const file = join(folder, 'module.ts')
    execFileSync(process.execPath, [join(root, 'tools/kernel.mjs'), file])
    const fresh = readFileSync(file, 'utf8')
    assert.equal(readFileSync(join(root, 'src/kernel/module.ts'), 'utf8'), fresh, 'run node tools/kernel.mjs')
    assert.ok(atob(MODULE).length <= 4096)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a chat is read, cut and hashed as without the kernel, wherever it lies in memory', () => {
  asked = 0
  fc.assert(
    fc.property(someBody, fc.nat(17), (text, shift) => isSame(shifted(text, shift))),
    { numRuns: 300 },
  )
  assert.ok(asked > 300)
})

test('any object is, inside a list and behind a long text', () => {
  const long = JSON.stringify('word "quoted" \\ '.repeat(80))
  fc.assert(
    fc.property(rawObject, fc.array(rawValue), fc.nat(7), (object, values, shift) => {
      isSame(shifted(`{"prompt":${long},"a":[${[...values, object].join(',')}],"b":${object}}`, shift))
    }),
    { numRuns: 300 },
  )
})

test('objects with as many members as the kernel takes, and with more', () => {
  const long = JSON.stringify('x'.repeat(600))
  for (let count = 28; count < 38; count++) {
    const members = Array.from({ length: count }, (_, nth) => `"key ${nth}":[{"a":${nth}}]`)
    isSame(encode(`{${members.join(',')},"messages":[{"role":"user","content":${long}}]}`))
  }
})

test('keys, numbers and words are told from what is none', () => {
  const oddKeys = [
    '',
    'a'.repeat(15),
    'a'.repeat(16),
    'a'.repeat(17),
    'a\\u0041',
    'é',
    'a\\',
    'a\u0001',
    'a\u007f',
    'a"',
  ]
  const oddValues = [
    '',
    '1',
    '-',
    '01',
    '-0.5e+3',
    '1e',
    'tru',
    'true',
    'nul',
    '1 2',
    'é',
    '1\u007f',
    '[}',
    '[',
    '\t7\n',
  ]
  const long = JSON.stringify('x'.repeat(600))
  for (const key of oddKeys)
    for (const value of oddValues)
      for (const end of ['}', ' } ', ',}', '}x', ']', ''])
        isSame(encode(`{"prompt":${long},"${key}":${value}${end}`))
})

test('a list is whole unless it holds a cache mark or a medium', () => {
  const long = 'QUJD'.repeat(300)
  const parts = [
    '"cache_control"',
    '"cache_control":1',
    '"cache-control":1',
    '"data":1',
    `"data":"${long}"`,
    `"text":"${long}"`,
    `"b64_json":"${long}"`,
    `"file_data" : "${long}"`,
    `"url":"data:image/png;base64,${long}"`,
    `"url":"datum:image/png;base64,${long}"`,
    `"data":"a","content":"${long}"`,
  ]
  const spansOf = (text: string) => {
    const reading = bothOf(encode(text))
    assert.deepEqual(reading[0], reading[1])
    return (reading[0] as { spans: readonly number[] }).spans.length / 3
  }
  const counts = parts.map((part) => spansOf(`{"messages":[{"role":"user",${part}},{"content":"${long}"}]}`))
  assert.deepEqual(counts, [1, 2, 1, 1, 3, 1, 3, 3, 3, 1, 1])
  assert.equal(spansOf(`{"image_data":["${long}"],"messages":[{"content":"${long}"}]}`), 4)
})

test('broken bodies are refused in the same words', () => {
  const noise = fc.array(
    fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c))),
    { minLength: 1, maxLength: 3 },
  )
  fc.assert(
    fc.property(someBody, noise, fc.nat(), (text, changes, cut) => {
      const bytes = encode(text)
      isSame(bytes.slice(0, cut % bytes.length))
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      isSame(bytes)
    }),
    { numRuns: 300 },
  )
})

test('escapes and control characters of a long text are found, wherever they stand', () => {
  for (const odd of ['\\n', '\\u00e9', '\\"', '\\\\', '\\x', '\\u12', '\u0001', '"', '\u001f', '\u007f', 'é'])
    for (let at = 0; at < 40; at++)
      isSame(encode(`{"prompt":"${'x'.repeat(at)}${odd}${'y'.repeat(1100)}","a":1}`))
})

test('bodies of any length end where they end', () => {
  for (let length = 1000; length < 1200; length++) {
    isSame(encode(`{"messages":[{"content":"${'x'.repeat(length)}"}],"prompt":"${'x'.repeat(length)}"}`))
    isSame(encode(`{"messages":[{"content":"${'x'.repeat(length)}`))
  }
})

test('prompts longer than are hashed, and bodies larger than the kernel takes', () => {
  const turn = `{"role":"user","content":"${'word '.repeat(3000)}"},`
  for (const size of [MAX_BYTES - 5000, MAX_BYTES + 5000, MOST - 100, MOST, MOST + 5000]) {
    const text = `{"system":${JSON.stringify('s'.repeat(2000))},"messages":[${turn.repeat(Math.ceil(size / turn.length))}{}]}`
    isSame(encode(text))
  }
})

test('nothing of a body is left for the next one', () => {
  useKernel(counted)
  const full = `{"messages":[{"content":"${'}]"'.repeat(3000).replaceAll('"', '\\"')}"}]}`
  const ending = `${' '.repeat(6)}"}]}`.repeat(3000)
  const open = encode(`{"messages":[{"content":"${'x'.repeat(1500)}`)
  const expected = readingOf(open)
  for (const before of [full, `{"messages":[${JSON.stringify(ending)}]}`, `["${ending}`]) {
    readingOf(encode(before))
    assert.deepEqual(readingOf(open), expected)
  }
  assert.ok(typeof expected === 'string' && expected.includes('unterminated'))
})

test('a prompt is hashed as itself after another body was read in between, and bytes that changed as they are', () => {
  const chat = (word: string) => encode(`{"messages":[{"content":"${word.repeat(900)}"}]}`)
  const [one, other] = [chat('one '), chat('two ')]
  useKernel(null)
  const expected = [one, other].map((bytes) => hashBlocks(readPrompt(scanTop(bytes), 'm')))
  useKernel(counted)
  const prompt = readPrompt(scanTop(one), 'm')
  scanTop(other)
  assert.deepEqual(hashBlocks(prompt), expected[0])
  one.set(other)
  assert.deepEqual(hashBlocks(readPrompt(scanTop(one), 'm')), expected[1])
})

test('a prompt that one kernel scanned is hashed as itself by another', () => {
  const chat = (word: string) => encode(`{"messages":[{"content":"${word.repeat(900)}"}]}`)
  useKernel(null)
  const expected = hashBlocks(readPrompt(scanTop(chat('one ')), 'm'))
  const other = makeKernel()
  useKernel(other)
  scanTop(chat('two '))
  useKernel(counted)
  const prompt = readPrompt(scanTop(chat('one ')), 'm')
  useKernel(other)
  assert.deepEqual(hashBlocks(prompt), expected)
})

test('a long prompt has the same hashes in whole and in pieces, by the kernel and without', () => {
  const bytes = Uint8Array.from({ length: 90_000 }, (_, at) => 32 + ((at * at * 31) % 90))
  const promptOf = (...ends: number[]): Prompt => ({
    bytes,
    model: 'm',
    keys: [],
    spans: ends.flatMap((end, nth) => [ends[nth - 1] ?? 0, end, 0]),
    length: bytes.length,
  })
  const prompts = [
    promptOf(90_000),
    promptOf(256, 300, 16_383, 17_000, 90_000),
    promptOf(...Array.from({ length: 90 }, (_, nth) => (nth + 1) * 1000)),
  ]
  useKernel(null)
  const expected = prompts.map(hashBlocks)
  useKernel(counted)
  const found = prompts.map(hashBlocks)
  assert.equal(found[0]!.length, 135)
  for (const hashes of [...expected, ...found]) assert.deepEqual(hashes, found[0])
})

test('where a runtime takes no modules from bytes there is no kernel, and bodies are read all the same', (t) => {
  t.mock.method(WebAssembly, 'Module', function refuse() {
    throw new WebAssembly.CompileError('Wasm code generation disallowed by embedder')
  })
  useKernel(counted)
  installKernel()
  asked = 0
  assert.equal(typeof readingOf(encode(`{"prompt":"${'x'.repeat(2000)}"}`)), 'object')
  assert.equal(asked, 0)
})
