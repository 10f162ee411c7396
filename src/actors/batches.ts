// Owns the files and batches of all keys: keeps them in tables, and runs the lines of batches through the router.
import { Book } from '../batches/book.ts'
import type { BatchObject, BatchRequest } from '../batches/batch.ts'
import { Files, refusal, type FileObject, type Part, type Upload } from '../batches/files.ts'
import { Runner, type RunLine } from '../batches/runner.ts'
import { createTables, type Listed, type Page, type Tables } from '../batches/tables.ts'
import type { Config } from '../config/schema.ts'
import type { ActorState } from './actor.ts'
import type { RefusalValue } from './ask.ts'

/** How ids look: hexadecimal digits behind the prefix. */
type Digits = number

/** Batches of one owner that are not over. */
const MAX_ACTIVE = 100
/**
 * While lines go out an alarm rings this often, ms: batches expire then, an incarnation that is a new one goes on with them, and
 * on Workers each alarm brings an allowance of calls and CPU time of its own.
 */
const LOOK = 1000
/** Expired files are looked for this often while a batch runs, and when none does, ms. */
const SWEEP = 60_000
const IDLE = 3_600_000

interface Opened {
  readonly tables: Tables
  readonly files: Files
  readonly book: Book
}

export class Batches {
  readonly #config: Config
  readonly #state: ActorState
  #opening: Promise<Opened> | null = null
  #runner: Runner | null = null
  #hasBegun = false
  #sweepAt = 0

  constructor(config: Config, state: ActorState) {
    this.#config = config
    this.#state = state
  }

  /** Goes on with what was under way when the router ended; `run` sends lines. Called by the home. */
  async start(run: RunLine): Promise<void> {
    if (!this.#config.batches) return
    const { batchConcurrency: concurrency, batchLines: maxLines } = this.#config
    const { book, files } = await this.#open()
    this.#runner = new Runner({ book, files, host: this.#state, run, concurrency, maxLines })
    this.#state.setAlarm(this.#state.now())
  }

  async alarm(): Promise<void> {
    const runner = this.#runner
    // Switched off meanwhile.
    if (!runner) return
    const { book, files } = await this.#open()
    const active = book.active()
    const now = this.#state.now()
    this.#state.setAlarm(now + (active.length > 0 ? LOOK : IDLE))
    if (!this.#hasBegun) for (const batch of active) runner.go(batch)
    this.#hasBegun = true
    runner.pump()
    for (const batch of active)
      if (batch.expires <= now && (batch.status === 'validating' || batch.status === 'in_progress'))
        this.#state.after(runner.cancel(batch, 'expired'))
    if (now < this.#sweepAt) return
    this.#sweepAt = now + SWEEP
    files.sweep()
    book.sweep()
  }

  /** Begins an upload. Returns the id of the file to be. */
  async openFile(owner: string, digits: Digits): Promise<string | RefusalValue> {
    const { files, tables } = await this.#open()
    const full = files.room(owner, 1)
    if (full) return full
    const id = this.#idMaker(tables, digits)('file-')
    files.begin(id, owner)
    return id
  }

  /** Adds a piece to an upload; all but the last are `PIECE` bytes long. */
  async append(id: string, bytes: Uint8Array): Promise<RefusalValue | null> {
    return (await this.#open()).files.append(id, bytes)
  }

  async closeFile(id: string, upload: Upload): Promise<FileObject | RefusalValue> {
    return (await this.#open()).files.end(id, upload)
  }

  /** Gives an upload up. */
  async dropFile(id: string): Promise<void> {
    const { files } = await this.#open()
    files.drop(id)
    files.sweep()
  }

  async file(owner: string, id: string): Promise<FileObject | null> {
    return (await this.#open()).files.find(owner, id)
  }

  /** Null: nothing has the id behind which the page begins. */
  async files(owner: string, page: Page, purpose?: string): Promise<Listed<FileObject> | null> {
    return (await this.#open()).files.list(owner, page, purpose)
  }

  /** A part of a file's content, from 0 on; null: that was all, or there is no such file. */
  async read(owner: string, id: string, at: number): Promise<Part | null> {
    const { files } = await this.#open()
    const row = files.row(owner, id)
    return row && files.part(row['seq'] as number, at)
  }

  /** False: there was none. */
  async removeFile(owner: string, id: string): Promise<boolean> {
    const { files } = await this.#open()
    const isThere = files.remove(owner, id)
    files.sweep()
    return isThere
  }

  /** Makes a batch; its lines are checked and go out from now on. `purpose`: what its input must be for; null: anything. */
  async create(
    owner: string,
    request: BatchRequest,
    { digits, purpose }: { readonly digits: Digits; readonly purpose: string | null },
  ): Promise<BatchObject | RefusalValue> {
    const { files, book, tables } = await this.#open()
    const { input_file_id: id } = request.spec
    const input = files.row(owner, id)
    if (!input) return refusal(404, 'file_not_found', `No such file: ${id.slice(0, 100)}.`)
    if (purpose !== null && input['purpose'] !== purpose)
      return refusal(400, 'invalid_purpose', `The file ${id} was not uploaded with the purpose "${purpose}".`)
    const full = files.room(owner, 1)
    if (full) return full
    if (book.active(owner).length >= MAX_ACTIVE)
      return refusal(
        429,
        'too_many_batches',
        `A key may have ${MAX_ACTIVE} batches under way: wait for one of them.`,
      )
    const made = book.create(owner, request, input['seq'] as number, this.#idMaker(tables, digits))
    // The first alarm, which finds it, must not be put off.
    if (!this.#hasBegun) return made
    this.#state.setAlarm(this.#state.now() + LOOK)
    const batch = book.active(owner).find((one) => one.id === made.id)
    if (batch) this.#runner?.go(batch)
    return made
  }

  async batch(owner: string, id: string): Promise<BatchObject | null> {
    return (await this.#open()).book.find(owner, id)
  }

  async batches(owner: string, page: Page): Promise<Listed<BatchObject> | null> {
    return (await this.#open()).book.list(owner, page)
  }

  /** Null: there is none. */
  async cancel(owner: string, id: string): Promise<BatchObject | RefusalValue | null> {
    const { book } = await this.#open()
    const found = book.find(owner, id)
    if (!found || found.status === 'cancelling' || found.status === 'cancelled') return found
    if (found.status !== 'validating' && found.status !== 'in_progress')
      return refusal(409, 'batch_is_over', `The batch ${id} is ${found.status}: it cannot be cancelled.`)
    const batch = book.active(owner).find((one) => one.id === id)!
    if (found.status === 'validating') book.clear(batch.seq)
    book.turn(batch.seq, 'cancelling')
    if (this.#runner) this.#state.after(this.#runner.cancel(batch, 'cancelled'))
    return book.now(batch.seq)
  }

  /** No further line goes out; those under way may end. */
  rest(): void {
    this.#runner?.rest()
  }

  /** Ends what is under way, and closes the tables. */
  async stop(): Promise<void> {
    this.#runner?.stop()
    this.#runner = null
    if (this.#opening) (await this.#opening).tables.close()
  }

  #open(): Promise<Opened> {
    return (this.#opening ??= this.#opened())
  }

  async #opened(): Promise<Opened> {
    const { now } = this.#state
    const tables = await this.#state.tables!()
    createTables(tables)
    const files = new Files(tables, this.#config, () => Math.floor(now() / 1000))
    return { tables, files, book: new Book(tables, files, now) }
  }

  /** Makes ids that nothing has yet: short ones may meet. */
  #idMaker(tables: Tables, digits: Digits): (prefix: string) => string {
    const { random } = this.#state
    return (prefix) => {
      const table = prefix === 'file-' ? 'files' : 'batches'
      for (;;) {
        const digit = () => Math.floor(random() * 16).toString(16)
        const id = prefix + Array.from({ length: digits }, digit).join('')
        if (tables.all(`SELECT seq FROM ${table} WHERE id = ?`, id).length === 0) return id
      }
    }
  }
}
