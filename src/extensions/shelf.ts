// Keeps the semantic cache's entries in a file, written a while after they changed.
import type { Host } from '../host.ts'
import { jsonOf } from './chat-answer.ts'
import type { Entry } from './similar.ts'

/** Files as a runtime lends them. */
export interface Files {
  /** Null: there is none. */
  read(path: string): Promise<string | null>
  /** All or nothing; makes the directory. */
  write(path: string, text: string): Promise<void>
}

/** Changes are gathered for so long, ms. */
const GATHER = 2000

export class Shelf {
  readonly #files: Files
  readonly #path: string
  readonly #host: Pick<Host, 'timer' | 'log'>
  #writing: Promise<void> | null = null

  constructor(files: Files, directory: string, host: Pick<Host, 'timer' | 'log'>) {
    this.#files = files
    this.#path = `${directory.replace(/\/+$/, '')}/answers.jsonl`
    this.#host = host
  }

  /** What was kept; a line that can't be read is passed over. */
  async read(): Promise<Entry[]> {
    const text = await this.#files.read(this.#path)
    return (text ?? '').split('\n').flatMap((line) => entryOf(line) ?? [])
  }

  /** Writes the entries as they are then; what else changes meanwhile goes with it. */
  write(entries: () => readonly Entry[]): Promise<void> {
    this.#writing ??= this.#later().then(() => {
      this.#writing = null
      return this.#save(entries())
    })
    return this.#writing
  }

  #later(): Promise<void> {
    return new Promise((resolve) => this.#host.timer(GATHER, resolve))
  }

  async #save(entries: readonly Entry[]): Promise<void> {
    const lines = entries.map(({ scope, vector, answer }) =>
      JSON.stringify({ scope, vector: [...vector].map((value) => Number(value.toPrecision(7))), answer }),
    )
    try {
      await this.#files.write(this.#path, `${lines.join('\n')}\n`)
    } catch (error) {
      const message = `the semantic cache can't be written to ${this.#path}`
      this.#host.log({ level: 'error', message, error: String(error) })
    }
  }
}

function entryOf(line: string): Entry | null {
  const fields = jsonOf(line)
  if (!fields) return null
  const { scope, vector, answer } = fields
  if (typeof scope !== 'string' || typeof answer !== 'string' || jsonOf(answer) === null) return null
  if (!Array.isArray(vector) || !vector.every((value) => typeof value === 'number')) return null
  return { scope, vector: Float32Array.from(vector as number[]), answer }
}
