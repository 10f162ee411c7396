// Times scanning and editing of request bodies: `node bench/micro/scan.ts`.
import { scanTop } from '../../src/openai/scan.ts'
import { editBody } from '../../src/openai/spans.ts'

const encoder = new TextEncoder()
const encode = (value: unknown) => encoder.encode(JSON.stringify(value))
const settings = {
  model: 'm',
  stream: true,
  temperature: 0.7,
  max_tokens: 256,
  stream_options: { include_usage: false },
}

function chat(bytes: number, unit: string, turns: number): Uint8Array {
  const content = unit.repeat(Math.ceil(bytes / turns / encoder.encode(unit).length))
  const messages = Array.from({ length: turns }, (_, turn) => ({
    role: turn % 2 ? 'assistant' : 'user',
    content,
  }))
  return encode({ ...settings, messages })
}

const prose = 'The quick brown fox jumps over the lazy dog. '
const bodies: Record<string, Uint8Array> = {
  'chat 1 KB': chat(1024, prose, 2),
  'chat 16 KB, 2 turns': chat(16_384, prose, 2),
  'chat 16 KB, 40 turns': chat(16_384, prose, 40),
  'chat 128 KB, 8 turns': chat(131_072, prose, 8),
  'chat 16 KB, Chinese': chat(16_384, '你好世界，', 4),
  'chat 16 KB, code with escapes': chat(16_384, 'const a = "b"\n\treturn `\\d`\n', 4),
  'prompt 16 KB': encode({ ...settings, prompt: prose.repeat(364) }),
  'prompt 128 KB': encode({ ...settings, prompt: prose.repeat(2913) }),
  'token ids 16 KB': encode({ ...settings, prompt: Array.from({ length: 2700 }, (_, i) => 10_000 + i) }),
  'tools 16 KB': encode({
    ...settings,
    tools: Array.from({ length: 160 }, (_, i) => ({
      type: 'function',
      function: { name: `f${i}`, parameters: { type: 'object', properties: {} } },
    })),
  }),
  'quotes only 16 KB': encode({ ...settings, input: Array.from({ length: 5400 }, () => '') }),
  'quoted quotes 16 KB': encode({ ...settings, input: ['"'.repeat(8192)] }),
  'nesting 16 KB': encoder.encode(`{"model":"m","a":${'['.repeat(8192)}${']'.repeat(8192)}}`),
}

function time(run: () => unknown): number {
  for (let i = 0; i < 2000; i++) run()
  let best = Infinity
  for (let round = 0; round < 7; round++) {
    const start = performance.now()
    for (let i = 0; i < 500; i++) run()
    best = Math.min(best, ((performance.now() - start) * 1000) / 500)
  }
  return best
}

for (const [name, bytes] of Object.entries(bodies)) {
  const scan = time(() => scanTop(bytes))
  const read = time(() => {
    const top = scanTop(bytes)
    return [top.string('model'), top.boolean('stream'), top.string('user'), top.number('priority')]
  })
  const edit = time(() =>
    editBody(bytes, scanTop(bytes), [
      { kind: 'set', key: 'model', value: '"other"' },
      { kind: 'setIn', key: 'stream_options', inner: 'include_usage', value: 'true' },
    ]),
  )
  console.log(
    `${name.padEnd(30)} ${bytes.length} bytes: scan ${scan.toFixed(2)} µs, and read ${read.toFixed(2)}, and edit ${edit.toFixed(2)}`,
  )
}
