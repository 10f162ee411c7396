// The batches of all owners and their lines. A line's answer is written together with its state: there once, or not at all.
import { ACTIVE, batchOf, type BatchObject, type BatchRequest, type BatchStatus } from './batch.ts'
import type { Files } from './files.ts'
import type { Cut } from './jsonl.ts'
import { pageOf, type Listed, type Page, type Row, type Tables } from './tables.ts'

/** A line that is to be sent. */
export interface Line {
  readonly n: number
  readonly start: number
  readonly length: number
  readonly custom: string
}

/** A batch as its runner knows it: numbers are those of rows. */
export interface Active {
  readonly seq: number
  readonly id: string
  readonly owner: string
  readonly status: BatchStatus
  readonly expires: number
  readonly keeps: number | null
  readonly input: number
  readonly output: number
  readonly error: number
}

type Told = Partial<BatchObject>

/** An answer that is longer becomes several rows: one holds 2 MB on Workers. */
const ROW = 1024 * 1024
/** Rows that an answer has at most. */
const ROWS = 64
/** Longest answer of a line that is kept, bytes. */
export const MAX_ANSWER = 32 * 1024 * 1024
/** What is left of batches that ended is forgotten after so many seconds. */
const MEMORY = 90 * 86_400
/** Batches that an owner has at most: older ones that ended are forgotten. */
export const KEPT = 10_000

export class Book {
  readonly #tables: Tables
  readonly #files: Files
  readonly #now: () => number

  constructor(tables: Tables, files: Files, now: () => number) {
    this.#tables = tables
    this.#files = files
    this.#now = now
  }

  /** Makes a batch of that input file, and the files that its output will be in. `idOf` makes an id for a prefix. */
  create(
    owner: string,
    { spec, window, outputSeconds }: BatchRequest,
    input: number,
    idOf: (prefix: string) => string,
  ): BatchObject {
    const id = idOf('batch_')
    const now = this.#now()
    const told: Told = { ...spec, created_at: seconds(now), expires_at: seconds(now + window) }
    this.#tables.transaction(() => {
      this.#tables.all(
        `DELETE FROM batches WHERE owner = ? AND NOT ${ACTIVE} AND seq <=
          (SELECT seq FROM batches WHERE owner = ? ORDER BY seq DESC LIMIT 1 OFFSET ${KEPT - 1})`,
        owner,
        owner,
      )
      const begin = (kind: string) =>
        this.#files.begin(idOf('file-'), owner, 'batch_output', `${id}_${kind}.jsonl`)
      this.#tables.all(
        `INSERT INTO batches (id, owner, status, total, completed, failed, expires, keeps, input, output, error, told)
          VALUES (?, ?, 'validating', 0, 0, 0, ?, ?, ?, ?, ?, ?)`,
        id,
        owner,
        now + window,
        outputSeconds ?? null,
        input,
        begin('output'),
        begin('error'),
        JSON.stringify(told),
      )
    })
    return this.find(owner, id)!
  }

  find(owner: string, id: string): BatchObject | null {
    const row = this.row(owner, id)
    return row && batchOf(row)
  }

  row(owner: string, id: string): Row | null {
    return this.#tables.all('SELECT * FROM batches WHERE id = ? AND owner = ?', id, owner)[0] ?? null
  }

  list(owner: string, page: Page): Listed<BatchObject> | null {
    const rows = pageOf(this.#tables, 'batches', page, { where: 'owner = ?', values: [owner] })
    return rows && { items: rows.items.map(batchOf), hasMore: rows.hasMore }
  }

  /** The batches that are not over; of one owner, if named. */
  active(owner?: string): Active[] {
    const rows =
      owner === undefined
        ? this.#tables.all(`SELECT * FROM batches WHERE ${ACTIVE} ORDER BY seq`)
        : this.#tables.all(`SELECT * FROM batches WHERE ${ACTIVE} AND owner = ?`, owner)
    return rows as unknown as Active[]
  }

  /** The batch as it is now. */
  now(seq: number): BatchObject {
    return batchOf(this.#tables.all('SELECT * FROM batches WHERE seq = ?', seq)[0]!)
  }

  /** Puts a batch into another state, and the time of that into what is told. */
  turn(seq: number, status: BatchStatus, told: Told = {}): void {
    const { told: before } = this.#tables.all('SELECT told FROM batches WHERE seq = ?', seq)[0]!
    const next = { ...JSON.parse(before as string), ...told, [`${status}_at`]: seconds(this.#now()) }
    this.#tables.all(
      'UPDATE batches SET status = ?, told = ? WHERE seq = ?',
      status,
      JSON.stringify(next),
      seq,
    )
  }

  /** Forgets the lines: its input is read anew. */
  clear(seq: number): void {
    this.#tables.all('DELETE FROM lines WHERE batch = ?', seq)
  }

  /** Writes lines that were checked. */
  add(seq: number, lines: readonly (Cut & { readonly custom: string })[]): void {
    this.#tables.transaction(() => {
      for (const { line, start, bytes, custom } of lines)
        this.#tables.all(
          'INSERT INTO lines VALUES (?, ?, ?, ?, ?, 0)',
          seq,
          line,
          start,
          bytes!.length,
          custom,
        )
    })
  }

  /** All lines are checked: from now on they may go out. */
  begin(seq: number): void {
    this.#tables.transaction(() => {
      this.#tables.all(
        'UPDATE batches SET total = (SELECT COUNT(*) FROM lines WHERE batch = seq) WHERE seq = ?',
        seq,
      )
      this.turn(seq, 'in_progress')
    })
  }

  /** Open lines behind the line `after`. */
  open(seq: number, after: number, limit: number): Line[] {
    const rows = this.#tables.all(
      'SELECT n, start, length, custom FROM lines WHERE batch = ? AND n > ? AND state = 0 ORDER BY n LIMIT ?',
      seq,
      after,
      limit,
    )
    return rows as unknown as Line[]
  }

  /** Writes lines' answers, each with its line's state. One that is there already stays. */
  store(
    { seq, output, error }: Active,
    answers: readonly { readonly n: number; readonly isGood: boolean; readonly bytes: Uint8Array }[],
  ): void {
    this.#tables.transaction(() => {
      for (const { n, isGood, bytes } of answers) {
        const line = this.#tables.all('SELECT state FROM lines WHERE batch = ? AND n = ?', seq, n)[0]
        if (line?.['state'] !== 0) continue
        for (let part = 0; part * ROW < bytes.length; part++)
          this.#files.put(
            isGood ? output : error,
            n * ROWS + part,
            bytes.subarray(part * ROW, (part + 1) * ROW),
          )
        this.#tables.all('UPDATE lines SET state = ? WHERE batch = ? AND n = ?', isGood ? 1 : 2, seq, n)
        const counter = isGood ? 'completed' : 'failed'
        this.#tables.all(`UPDATE batches SET ${counter} = ${counter} + 1 WHERE seq = ?`, seq)
      }
    })
  }

  /** The end of a batch: its output is there to be read. */
  end({ seq, output, error, keeps }: Active, status: BatchStatus, told: Told = {}): void {
    this.#tables.transaction(() => {
      const shown = (file: number) => {
        const row = this.#tables.all('SELECT bytes FROM files WHERE seq = ?', file)[0]
        if (row?.['bytes']) return this.#files.show(file, keeps ?? undefined).id
        this.#files.hide(file)
        return null
      }
      this.turn(seq, status, { ...told, output_file_id: shown(output), error_file_id: shown(error) })
      this.clear(seq)
    })
  }

  /** Forgets batches that ended long ago. */
  sweep(): void {
    this.#tables.all(`DELETE FROM batches WHERE NOT ${ACTIVE} AND expires < ?`, this.#now() - MEMORY * 1000)
  }
}

const seconds = (ms: number): number => Math.floor(ms / 1000)
