// Where files and batches are kept: the seam to a runtime's SQLite, and the tables in it.

export type Value = string | number | null | Uint8Array
export type Row = Readonly<Record<string, unknown>>

/** A database that belongs to one actor. Its calls are synchronous, so that an actor decides and writes without a wait in between. */
export interface Tables {
  /** The rows of a statement with values for its `?`. Blobs come as bytes or as a buffer. */
  all(statement: string, ...values: Value[]): readonly Row[]
  /** All that `work` writes, or nothing when it throws. */
  transaction<T>(work: () => T): T
  close(): void
}

/**
 * `files.state`: 0 on its way in (or the output of a batch that runs), 1 there, 2 deleted. A file's bytes are its `pieces` in the
 * order of `at`; of an uploaded one all but the last are `PIECE` long, of an output each line begins one. `lines.state`: 0 open,
 * 1 answered, 2 failed. `batches.keeps`: seconds that its output is kept. `batches.expires` is ms; all other times are seconds.
 */
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS files (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, owner TEXT, state INTEGER,
    bytes INTEGER, created INTEGER, expires INTEGER, purpose TEXT, name TEXT)`,
  'CREATE INDEX IF NOT EXISTS filesOf ON files (owner, state, seq)',
  'CREATE TABLE IF NOT EXISTS pieces (file INTEGER, at INTEGER, bytes BLOB, PRIMARY KEY (file, at))',
  `CREATE TABLE IF NOT EXISTS batches (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, owner TEXT, status TEXT,
    total INTEGER, completed INTEGER, failed INTEGER, expires INTEGER, keeps INTEGER, input INTEGER,
    output INTEGER, error INTEGER, told TEXT)`,
  'CREATE INDEX IF NOT EXISTS batchesOf ON batches (owner, seq)',
  'CREATE INDEX IF NOT EXISTS batchesIn ON batches (status)',
  `CREATE TABLE IF NOT EXISTS lines (batch INTEGER, n INTEGER, start INTEGER, length INTEGER, custom TEXT, state INTEGER,
    PRIMARY KEY (batch, n)) WITHOUT ROWID`,
]

/** Makes the tables that are not there yet. */
export function createTables(tables: Tables): void {
  for (const statement of SCHEMA) tables.all(statement)
}

/** Uploads are cut into pieces of so many bytes: a row of a Durable Object holds 2 MB. */
export const PIECE = 262_144

/** Which of a list is shown. */
export interface Page {
  /** Id behind which it begins. */
  readonly after?: string
  readonly limit: number
  readonly isAscending?: boolean
}

export interface Listed<T> {
  readonly items: readonly T[]
  readonly hasMore: boolean
}

/** The rows of one owner on a page, newest first unless asked otherwise; null when nothing has the id in `after`. */
export function pageOf(
  tables: Tables,
  table: 'files' | 'batches',
  { after, limit, isAscending = false }: Page,
  { where, values }: { readonly where: string; readonly values: readonly Value[] },
): Listed<Row> | null {
  let from = isAscending ? 0 : Number.MAX_SAFE_INTEGER
  if (after !== undefined) {
    const found = tables.all(`SELECT seq FROM ${table} WHERE id = ? AND ${where}`, after, ...values)[0]
    if (!found) return null
    from = found['seq'] as number
  }
  const [sign, order] = isAscending ? ['>', 'ASC'] : ['<', 'DESC']
  const rows = tables.all(
    `SELECT * FROM ${table} WHERE ${where} AND seq ${sign} ? ORDER BY seq ${order} LIMIT ?`,
    ...values,
    from,
    limit + 1,
  )
  return { items: rows.slice(0, limit), hasMore: rows.length > limit }
}

/** A blob as bytes, however the runtime gives it. */
export const blob = (value: unknown): Uint8Array =>
  value instanceof Uint8Array ? value : new Uint8Array(value as ArrayBuffer)
