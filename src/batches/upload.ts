// Reads an uploaded form as it comes: small fields are kept, the file goes on piece by piece. At most one piece is in memory.
import { Refusal } from '../openai/errors.ts'
import { find, parameterOf, skipTable } from '../openai/multipart.ts'
import { join } from '../openai/bytes.ts'
import { PIECE } from './tables.ts'

/** What a form said besides its file. */
export interface Form {
  readonly fields: ReadonlyMap<string, string>
  /** The file's own name; null: the form has no file. */
  readonly filename: string | null
}

/** All fields together, and the headers of a part. Bytes. */
const FIELDS = 65_536
const HEADERS = 16_384
const BREAK = encode('\r\n')
const BLANK = encode('\r\n\r\n')
const EMPTY = new Uint8Array(0)

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

type Taker = (bytes: Uint8Array) => void | Promise<void>

/**
 * Reads a form. The bytes of its part `file` go to `sink` in pieces of `PIECE` bytes, the last one may be shorter. Throws a
 * `Refusal` when it is no form, has two files, or its fields are too large; what `sink` throws goes through.
 */
export async function readUpload(
  chunks: AsyncIterable<Uint8Array>,
  boundary: string,
  sink: (piece: Uint8Array) => Promise<void>,
): Promise<Form> {
  const reader = new FormReader(boundary, new Filler(sink))
  for await (const chunk of chunks) await reader.take(chunk)
  return reader.end()
}

/** Puts bytes together to pieces. */
class Filler {
  readonly #sink: (piece: Uint8Array) => Promise<void>
  #piece = new Uint8Array(PIECE)
  #length = 0

  constructor(sink: (piece: Uint8Array) => Promise<void>) {
    this.#sink = sink
  }

  async take(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + PIECE - this.#length)
      this.#piece.set(part, this.#length)
      this.#length += part.length
      at += part.length
      if (this.#length === PIECE) await this.flush()
    }
  }

  async flush(): Promise<void> {
    if (this.#length === 0) return
    const piece = this.#piece.subarray(0, this.#length)
    this.#piece = new Uint8Array(PIECE)
    this.#length = 0
    await this.#sink(piece)
  }
}

class FormReader {
  readonly #delimiter: Uint8Array
  readonly #skips: Uint8Array
  readonly #filler: Filler
  readonly #fields = new Map<string, string>()
  #filename: string | null = null
  #fieldBytes = 0
  #state: 'value' | 'headers' | 'done' = 'value'
  /** As if a line break stood before the first delimiter. */
  #held: Uint8Array = BREAK
  #takeValue: Taker = () => undefined
  #endValue: () => void | Promise<void> = () => undefined

  constructor(boundary: string, filler: Filler) {
    this.#delimiter = encode(`\r\n--${boundary}`)
    this.#skips = skipTable(this.#delimiter)
    this.#filler = filler
  }

  async take(chunk: Uint8Array): Promise<void> {
    if (this.#state === 'done') return
    this.#held = join([this.#held, chunk])
    while (this.#state === 'value' ? await this.#readValue() : this.#readHeaders());
  }

  end(): Form {
    if (this.#state !== 'done') throw bad('The form ended before its last boundary.')
    return { fields: this.#fields, filename: this.#filename }
  }

  /** True: the value is over, and more may be read. */
  async #readValue(): Promise<boolean> {
    const at = find(this.#held, this.#delimiter, this.#skips, 0)
    const end = at < 0 ? Math.max(0, this.#held.length - this.#delimiter.length + 1) : at
    if (end > 0) await this.#takeValue(this.#held.subarray(0, end))
    this.#held = this.#held.subarray(at < 0 ? end : at + this.#delimiter.length)
    if (at < 0) return false
    await this.#endValue()
    this.#state = 'headers'
    return true
  }

  #readHeaders(): boolean {
    const held = this.#held
    if (held.length < 2) return false
    if (held[0] === 0x2d && held[1] === 0x2d) {
      this.#state = 'done'
      this.#held = EMPTY
      return false
    }
    const end = find(held, BLANK, skipTable(BLANK), 0)
    if (end > HEADERS || (end < 0 && held.length > HEADERS)) throw bad('The headers of a part are too long.')
    if (end < 0) return false
    this.#begin(new TextDecoder().decode(held.subarray(0, end)))
    this.#held = held.subarray(end + BLANK.length)
    this.#state = 'value'
    return true
  }

  #begin(headers: string): void {
    const name = parameterOf(headers, 'name') ?? ''
    if (name !== 'file') return this.#beginField(name)
    if (this.#filename !== null) throw bad('The form has two files: upload one at a time.')
    this.#filename = nameOf(parameterOf(headers, 'filename') ?? '')
    this.#takeValue = (bytes) => this.#filler.take(bytes)
    this.#endValue = () => this.#filler.flush()
  }

  #beginField(name: string): void {
    const parts: Uint8Array[] = []
    this.#takeValue = (bytes) => {
      this.#fieldBytes += bytes.length
      if (this.#fieldBytes > FIELDS) throw bad('The fields of the form are too large.')
      parts.push(bytes.slice())
    }
    this.#endValue = () => {
      this.#fields.set(name, new TextDecoder().decode(join(parts)))
    }
  }
}

/** A name is for people alone, never a path: its last part, without what no name has. */
const nameOf = (given: string): string =>
  (/[^/\\]*$/.exec(given)?.[0] ?? '').replace(/[\p{Cc}\p{Cf}]/gu, '').slice(0, 255) || 'file'

const bad = (message: string): Refusal => new Refusal(400, 'invalid_form', message)
