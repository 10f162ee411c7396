// Real calls that a worker is probed with, one for each kind of model: the smallest that each kind of engine answers.
import type { ProbeKind } from '../config/kinds.ts'
import type { Host, WorkerRef } from '../host.ts'
import { join } from '../openai/bytes.ts'
import { askWorker, type Asked, type Question } from './ask.ts'

/** A kind of call that one of a worker's models must answer. */
export interface Check {
  readonly kind: ProbeKind
  readonly model: string
}

/** What a check found. `late`: it gave no answer in time. */
export type Checked = 'good' | 'bad' | 'late'

/** One white pixel. */
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=='
const HELLO = [{ role: 'user', content: 'Hello' }]
const SHORT = { temperature: 0, max_tokens: 3 }

const CALLS: Readonly<Record<Exclude<ProbeKind, 'transcription'>, readonly [path: string, body: object]>> = {
  chat: ['/v1/chat/completions', { messages: HELLO, ...SHORT }],
  completion: ['/v1/completions', { prompt: 'Hello', max_tokens: 3 }],
  embeddings: ['/v1/embeddings', { input: 'Hello' }],
  rerank: ['/v1/rerank', { query: 'Hello', documents: ['Test'] }],
  score: ['/v1/score', { encoding_format: 'float', text_1: 'Hello', text_2: 'Test' }],
  messages: ['/v1/messages', { messages: HELLO, max_tokens: 3 }],
  vision: [
    '/v1/chat/completions',
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Hello' },
            { type: 'image_url', image_url: { url: PIXEL } },
          ],
        },
      ],
      ...SHORT,
    },
  ],
}

/** Checks one thing; good is a 2xx whose body is JSON. `timeout` in ms. Never throws. */
export async function check(
  host: Pick<Host, 'fetch' | 'timer'>,
  worker: WorkerRef,
  { kind, model }: Check,
  timeout: number,
): Promise<Checked> {
  const question = kind === 'transcription' ? transcription(model) : call(kind, model)
  const asked = await askWorker(host, worker, { ...question, timeout })
  if ('timedOut' in asked) return asked.timedOut ? 'late' : 'bad'
  return isGood(asked) ? 'good' : 'bad'
}

type Untimed = Omit<Question, 'timeout'>

function call(kind: Exclude<ProbeKind, 'transcription'>, model: string): Untimed {
  const [path, body] = CALLS[kind]
  return { method: 'POST', path, body: JSON.stringify({ model, ...body }) }
}

const BOUNDARY = 'fetchway-probe'

/** A form with a tenth of a second of silence. */
function transcription(model: string): Untimed {
  const encoder = new TextEncoder()
  const name = 'Content-Disposition: form-data; name='
  const head = `--${BOUNDARY}\r\n${name}"model"\r\n\r\n${model}\r\n--${BOUNDARY}\r\n${name}"file"; filename="probe.wav"\r\nContent-Type: audio/wav\r\n\r\n`
  const body = join([encoder.encode(head), silence(), encoder.encode(`\r\n--${BOUNDARY}--\r\n`)])
  const type = `multipart/form-data; boundary=${BOUNDARY}`
  return { method: 'POST', path: '/v1/audio/transcriptions', body, type }
}

const RATE = 16_000
const HEADER = 44

/** A WAV file: 16 bit, one channel. */
function silence(): Uint8Array {
  const samples = RATE / 10
  const bytes = new Uint8Array(HEADER + 2 * samples)
  const view = new DataView(bytes.buffer)
  const text = (at: number, word: string) => bytes.set(new TextEncoder().encode(word), at)
  text(0, 'RIFF')
  view.setUint32(4, bytes.length - 8, true)
  text(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, RATE, true)
  view.setUint32(28, 2 * RATE, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  text(36, 'data')
  view.setUint32(40, 2 * samples, true)
  return bytes
}

function isGood(asked: Extract<Asked, { text: string }>): boolean {
  if (asked.status < 200 || asked.status > 299) return false
  try {
    JSON.parse(asked.text)
    return true
  } catch {
    // A page of some proxy.
    return false
  }
}
