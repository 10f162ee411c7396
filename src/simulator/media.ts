// Sound and pictures: what comes in is told back by name and size, what goes out is short and silent.
import { json, readBody, text, type Exchange, type Handler } from './exchange.ts'
import { missingField, numberField, stringField, type Fields } from './fields.ts'
import { EngineRefusal } from './refusal.ts'
import { dataEvent, DONE } from './sse.ts'

/** /v1/audio/transcriptions and /v1/audio/translations: a form with a `file`. */
export const transcribe: Handler = async (exchange) => {
  const form = await readForm(exchange)
  const file = form.get('file')
  if (!(file instanceof Blob)) throw missingField({}, 'file')
  const model = exchange.sim.modelFor(textOf(form.get('model')))
  const name = 'name' in file ? String(file.name) : 'file'
  const said = `Heard ${name} of ${file.size} bytes.`
  const format = textOf(form.get('response_format')) ?? 'json'
  const usage = { type: 'duration', seconds: Math.max(1, Math.ceil(file.size / 32_000)) }
  if (textOf(form.get('stream')) === 'true') return streamWords(exchange, model, said)
  if (format === 'text') return text(said)
  if (format !== 'verbose_json') return json({ text: said, usage })
  return json({ duration: String(usage.seconds), language: 'en', text: said, segments: [], words: null })
}

async function readForm(exchange: Exchange): Promise<FormData> {
  const type = exchange.headers.get('content-type') ?? ''
  try {
    return await new Response(exchange.bytes, { headers: { 'content-type': type } }).formData()
  } catch {
    // No form at all, or one cut short: the engines' web framework says the same to both.
    throw new EngineRefusal('invalid', 'There was an error parsing the body', { param: 'body' })
  }
}

const textOf = (value: FormDataEntryValue | null) => (typeof value === 'string' ? value : null)

function streamWords(exchange: Exchange, model: string, said: string): Response {
  const words = said.split(/(?= )/)
  const shared = {
    id: `trsc-${exchange.sim.hex()}`,
    object: 'transcription.chunk',
    created: exchange.sim.seconds(),
    model,
  }
  const events = words.map((content, index) => {
    const finish_reason = index === words.length - 1 ? 'stop' : null
    return dataEvent({ ...shared, choices: [{ delta: { content }, finish_reason, stop_reason: null }] })
  })
  const bytes = [...events, DONE].map((event) => new TextEncoder().encode(event))
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next = bytes.shift()
        if (next) controller.enqueue(next)
        else controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
}

/** /v1/audio/speech: a tenth of a second of silence for each word. */
export const speak: Handler = (exchange) => {
  const body = readBody(exchange)
  const input = stringField(body, 'input')
  if (input === null) throw missingField(body, 'input')
  exchange.sim.modelFor(stringField(body, 'model'))
  const wave = silence(800 * Math.min(100, input.split(/\s+/).length))
  return new Response(wave, {
    headers: { 'content-type': 'audio/wav', 'content-length': String(wave.length) },
  })
}

/** A WAV file of 8-bit samples at 8 kHz. */
function silence(samples: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44 + samples).fill(128, 44)
  const view = new DataView(bytes.buffer)
  const word = (at: number, letters: string) => bytes.set(new TextEncoder().encode(letters), at)
  word(0, 'RIFF')
  view.setUint32(4, 36 + samples, true)
  word(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, 8000, true)
  view.setUint32(28, 8000, true)
  view.setUint16(32, 1, true)
  view.setUint16(34, 8, true)
  word(36, 'data')
  view.setUint32(40, samples, true)
  return bytes
}

/** One transparent pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='

/** /v1/images/generations. */
export const drawImages: Handler = (exchange) => {
  const body: Fields = readBody(exchange)
  if (stringField(body, 'prompt') === null) throw missingField(body, 'prompt')
  exchange.sim.modelFor(stringField(body, 'model'))
  const count = Math.min(10, Math.max(1, numberField(body, 'n') ?? 1))
  const data = Array.from({ length: count }, () => ({
    b64_json: PIXEL,
    revised_prompt: null,
  }))
  return json({ created: exchange.sim.seconds(), data })
}
