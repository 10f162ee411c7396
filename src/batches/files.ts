// The files of all owners: uploads as they come in, outputs of batches as lines end.
import type { RefusalValue } from '../actors/ask.ts'
import type { Config } from '../config/schema.ts'
import { join } from '../openai/bytes.ts'
import { blob, pageOf, PIECE, type Listed, type Page, type Row, type Tables } from './tables.ts'

/** A file as the API tells of it. Times are seconds. */
export interface FileObject {
  readonly id: string
  readonly object: 'file'
  readonly bytes: number
  readonly created_at: number
  readonly expires_at?: number
  readonly filename: string
  readonly purpose: string
  readonly status: 'processed'
}

/** What is known of an upload when it ends. */
export interface Upload {
  readonly name: string
  readonly purpose: string
  /** Seconds until it is deleted; absent: as configured. */
  readonly seconds?: number
}

/** A part of a file, and where the next one begins. */
export interface Part {
  readonly bytes: Uint8Array
  readonly next: number
}

type Rules = Pick<Config, 'maxFile' | 'fileQuota' | 'fileExpiry'>

/** An upload that nobody goes on with is given up after so many seconds. */
const PATIENCE = 3600
/** Bytes of a part that is read at once, as long as one row is not longer. */
const PART = 2 * PIECE
const ROWS = 256
/** What a file takes besides its bytes: empty ones are not for nothing. */
const ROW = 1024

const there = { where: 'owner = ? AND state = 1' } as const

export class Files {
  readonly #tables: Tables
  readonly #rules: Rules
  readonly #seconds: () => number
  #at: { file: number; first: number; last: number; bytes: Uint8Array } | null = null

  constructor(tables: Tables, rules: Rules, seconds: () => number) {
    this.#tables = tables
    this.#rules = rules
    this.#seconds = seconds
  }

  /** A file that is not there yet. Returns the number that it is known by inside. */
  begin(id: string, owner: string, purpose = '', name = ''): number {
    this.#tables.all(
      'INSERT INTO files (id, owner, state, bytes, created, purpose, name) VALUES (?, ?, 0, 0, ?, ?, ?)',
      id,
      owner,
      this.#seconds(),
      purpose,
      name,
    )
    return this.#tables.all('SELECT seq FROM files WHERE id = ?', id)[0]!['seq'] as number
  }

  /** Puts a piece behind what an upload has; all pieces but its last are `PIECE` long. */
  append(id: string, bytes: Uint8Array): RefusalValue | null {
    const row = this.#coming(id)
    if (!row)
      return refusal(409, 'upload_gone', 'The upload was given up: it came too slowly. Send it again.')
    const { maxFile } = this.#rules
    const size = row['bytes'] as number
    if (maxFile > 0 && size + bytes.length > maxFile) return tooLarge(maxFile)
    const full = this.room(row['owner'] as string, bytes.length)
    if (full) return full
    this.#tables.transaction(() => this.put(row['seq'] as number, Math.floor(size / PIECE), bytes))
    return null
  }

  /** Refuses what is more than the owner may keep. */
  room(owner: string, bytes: number): RefusalValue | null {
    const { fileQuota } = this.#rules
    if (fileQuota === 0) return null
    const [kept] = this.#tables.all(`SELECT SUM(bytes + ${ROW}) AS sum FROM files WHERE owner = ?`, owner)
    if (Number(kept!['sum']) + bytes <= fileQuota) return null
    const message = `Files of this key may hold ${fileQuota} bytes together (--file-quota): delete some first.`
    return refusal(403, 'file_quota_exceeded', message)
  }

  /** Writes a piece of a file. The caller holds the transaction. */
  put(file: number, at: number, bytes: Uint8Array): void {
    this.#tables.all('INSERT INTO pieces (file, at, bytes) VALUES (?, ?, ?)', file, at, bytes)
    this.#tables.all('UPDATE files SET bytes = bytes + ? WHERE seq = ?', bytes.length, file)
  }

  /** The upload is whole. */
  end(id: string, { name, purpose, seconds }: Upload): FileObject | RefusalValue {
    const row = this.#coming(id)
    if (!row)
      return refusal(409, 'upload_gone', 'The upload was given up: it came too slowly. Send it again.')
    this.#tables.all(
      'UPDATE files SET name = ?, purpose = ? WHERE seq = ?',
      name,
      purpose,
      row['seq'] as number,
    )
    return this.show(row['seq'] as number, seconds)
  }

  /** From now on its owner sees it. */
  show(file: number, seconds?: number): FileObject {
    const lasts = seconds ?? this.#rules.fileExpiry / 1000
    const now = this.#seconds()
    const expires = lasts > 0 ? Math.ceil(now + lasts) : null
    this.#tables.all('UPDATE files SET state = 1, created = ?, expires = ? WHERE seq = ?', now, expires, file)
    return told(this.#tables.all('SELECT * FROM files WHERE seq = ?', file)[0]!)
  }

  /** The row of an owner's file; null: there is none. */
  row(owner: string, id: string): Row | null {
    return (
      this.#tables.all('SELECT * FROM files WHERE id = ? AND owner = ? AND state = 1', id, owner)[0] ?? null
    )
  }

  find(owner: string, id: string): FileObject | null {
    const row = this.row(owner, id)
    return row && told(row)
  }

  list(owner: string, page: Page, purpose: string | undefined): Listed<FileObject> | null {
    const asked =
      purpose === undefined
        ? { ...there, values: [owner] }
        : { where: `${there.where} AND purpose = ?`, values: [owner, purpose] }
    const rows = pageOf(this.#tables, 'files', page, asked)
    return rows && { items: rows.items.map(told), hasMore: rows.hasMore }
  }

  /** A part of a file from the piece `at` on; null: nothing is left. */
  part(file: number, at: number): Part | null {
    const sizes = this.#tables.all(
      `SELECT at, length(bytes) AS size FROM pieces WHERE file = ? AND at >= ? ORDER BY at LIMIT ${ROWS}`,
      file,
      at,
    )
    if (sizes.length === 0) return null
    let count = 0
    for (let sum = 0; count < sizes.length && (count === 0 || sum < PART); count++)
      sum += sizes[count]!['size'] as number
    const last = sizes[count - 1]!['at'] as number
    return { bytes: this.#pieces(file, at, last), next: last + 1 }
  }

  /** Some bytes of an upload. Lines follow each other: the piece of the last one is kept at hand. */
  slice(file: number, start: number, length: number): Uint8Array {
    const first = Math.floor(start / PIECE)
    const last = Math.floor((start + length - 1) / PIECE)
    const at = this.#at
    if (at?.file !== file || at.first !== first || at.last !== last)
      this.#at = { file, first, last, bytes: this.#pieces(file, first, last) }
    return this.#at!.bytes.subarray(start - first * PIECE, start - first * PIECE + length)
  }

  /** Nobody sees it any more; what it holds goes with the next `sweep`. False: there was none. */
  remove(owner: string, id: string): boolean {
    const row = this.row(owner, id)
    if (row) this.hide(row['seq'] as number)
    return row !== null
  }

  hide(file: number): void {
    this.#tables.all('UPDATE files SET state = 2 WHERE seq = ?', file)
  }

  /** An upload that broke off. */
  drop(id: string): void {
    const row = this.#coming(id)
    if (row) this.hide(row['seq'] as number)
  }

  /** Frees what is deleted, expired, or given up. What a batch still reads stays until that ends. */
  sweep(): void {
    const now = this.#seconds()
    this.#tables.transaction(() => {
      this.#tables.all('UPDATE files SET state = 2 WHERE state = 1 AND expires <= ?', now)
      this.#tables.all(
        `UPDATE files SET state = 2 WHERE state = 0 AND purpose = '' AND created < ?`,
        now - PATIENCE,
      )
      const gone = `(SELECT seq FROM files WHERE state = 2 AND seq NOT IN
        (SELECT input FROM batches WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling')))`
      this.#tables.all(`DELETE FROM pieces WHERE file IN ${gone}`)
      this.#tables.all(`DELETE FROM files WHERE seq IN ${gone}`)
    })
  }

  #coming(id: string): Row | undefined {
    return this.#tables.all(`SELECT * FROM files WHERE id = ? AND state = 0 AND purpose = ''`, id)[0]
  }

  #pieces(file: number, first: number, last: number): Uint8Array {
    const rows = this.#tables.all(
      'SELECT bytes FROM pieces WHERE file = ? AND at BETWEEN ? AND ? ORDER BY at',
      file,
      first,
      last,
    )
    return join(rows.map(({ bytes }) => blob(bytes)))
  }
}

const tooLarge = (limit: number): RefusalValue =>
  refusal(413, 'file_too_large', `The file is larger than the ${limit} bytes allowed here (--max-file).`)

export const refusal = (status: number, code: string, message: string): RefusalValue => ({
  status,
  code,
  message,
})

const told = (row: Row): FileObject => ({
  id: row['id'] as string,
  object: 'file',
  bytes: row['bytes'] as number,
  created_at: row['created'] as number,
  ...(row['expires'] !== null && { expires_at: row['expires'] as number }),
  filename: row['name'] as string,
  purpose: row['purpose'] as string,
  status: 'processed',
})
