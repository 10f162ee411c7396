// The chat requests of the benchmark: three sizes, half of them sharing prefixes as the turns of a conversation do.

/** What one column of the table sends. */
export interface Column {
  readonly name: string
  readonly title: string
  /** Size of the request body in bytes. */
  readonly bytes: number
  /** How the engine answers: one JSON object, or 64 events with this many ms between them. */
  readonly reply: 'json' | `sse${number}`
  /** Clients at work at once. */
  readonly clients: number
}

export const columns: readonly Column[] = [
  { name: 'json1', title: '1 KB JSON', bytes: 1024, reply: 'json', clients: 32 },
  { name: 'json16', title: '16 KB JSON', bytes: 16 * 1024, reply: 'json', clients: 32 },
  { name: 'json128', title: '128 KB JSON', bytes: 128 * 1024, reply: 'json', clients: 16 },
  { name: 'sse0', title: 'SSE 64 × 0 ms', bytes: 1024, reply: 'sse0', clients: 32 },
  { name: 'sse5', title: 'SSE 64 × 5 ms', bytes: 1024, reply: 'sse5', clients: 48 },
]

/** Events of a stream, without the closing `[DONE]` and the usage that may come before it. */
export const eventCount = 64

/** Digits at the place of this text make each request a different one. */
const serial = '000000000000'
const templateCount = 32
const turnsPerConversation = 8
const vocabulary = (
  'the engine holds a cache of blocks and each request that begins with the same words finds its prefix there so ' +
  'the router asks which worker has seen this text before \\"quoted\\" lines\\n- lists\\n```ts\\nconst answer = 42\\n``` ' +
  'numbers 3.14 and names like Ada or Søren mix with code, tables | of | cells | and longer passages of plain prose'
).split(' ')

/** A source of bodies of one column: `write` fills the given buffer with the next one. */
export interface Bodies {
  /** Every body of this source has this length. */
  readonly bytes: number
  /** Copies the next body into `into` (at least `bytes` long) with a serial number that was never used before. */
  write(into: Buffer): void
}

interface Template {
  readonly body: Buffer
  readonly serialAt: readonly number[]
}

/**
 * Makes the bodies of a column. Odd ones are told apart by their first words (nothing to share but the field names),
 * even ones by their last message only, and grow over eight turns as a conversation does.
 */
export function makeBodies(column: Column, firstSerial = 1): Bodies {
  const templates = Array.from({ length: templateCount }, (_, index) => makeTemplate(column, index))
  let next = firstSerial
  return {
    bytes: column.bytes,
    write(into) {
      const template = templates[next % templateCount] as Template
      template.body.copy(into)
      const digits = String(next++).padStart(serial.length, '0')
      for (const at of template.serialAt) into.write(digits, at, serial.length, 'latin1')
    },
  }
}

function makeTemplate(column: Column, index: number): Template {
  const isFresh = index % 2 === 1
  const conversation = Math.floor(index / turnsPerConversation)
  const words = speak(isFresh ? index + 1000 : conversation, column.bytes * 2)
  const stream = column.reply === 'json' ? '' : '"stream":true,'
  const head = `{"model":"bench-model",${stream}"max_tokens":64,"temperature":0.7,"messages":[`
  // The engine reads from the first message what is wanted of it: some routers drop fields that they don't know, `user` too.
  const wish = `bench:${column.reply}:${column.bytes}:`
  const opening = `{"role":"system","content":"${wish} ${isFresh ? serial : 'shared'} You are helpful. Context ${conversation}."}`
  const closing = `{"role":"user","content":"turn ${index % turnsPerConversation} ${serial} please go on"}]}`
  const room = column.bytes - Buffer.byteLength(head + opening + closing) - 1
  const body = Buffer.from(head + opening + ',' + history(words, room) + closing)
  if (body.length !== column.bytes) throw new Error(`body of ${body.length} bytes for ${column.bytes}`)
  const serialAt: number[] = []
  for (let at = body.indexOf(serial); at >= 0; at = body.indexOf(serial, at + 1)) serialAt.push(at)
  return { body, serialAt }
}

/** Messages of alternating roles that fill exactly `room` bytes, the last one followed by a comma. */
function history(words: string, room: number): string {
  const wanted = Math.max(1, Math.min(12, Math.floor(room / 400)))
  const frame = (role: string, text: string) => `{"role":"${role}","content":"${text}"},`
  let text = ''
  let used = 0
  for (let turn = 0; turn < wanted; turn++) {
    const role = turn % 2 === 0 ? 'user' : 'assistant'
    const share = turn === wanted - 1 ? room - used : Math.floor(room / wanted)
    const piece = words.slice(turn * 97, turn * 97 + share - frame(role, '').length).replace(/\\$/, '.')
    const message = frame(role, piece)
    text += message
    used += message.length
  }
  return text
}

/** Text that is the same for the same seed; ASCII, so that characters are bytes. */
function speak(seed: number, length: number): string {
  let state = (seed * 2654435761 + 12345) >>> 0
  let text = ''
  while (text.length < length) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    text += vocabulary[state % vocabulary.length] + ' '
  }
  return text.replaceAll('ø', 'oe')
}
