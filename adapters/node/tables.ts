// Where files and batches are kept on Node and Deno: a SQLite file that one router has for itself.
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Row, Tables, Value } from '../../src/batches/tables.ts'
import type { Config } from '../../src/config/schema.ts'

/** What of a runtime's SQLite is needed. */
export interface Database {
  exec(statements: string): unknown
  prepare(statement: string): { all(...values: Value[]): unknown[] }
  close(): void
}

/** The name of the file in its directory. */
const FILE = 'batches.sqlite'
const MEMORY = ':memory:'

/** Opens what keeps files and batches. Rejects when it can't be opened, or another router has it. */
export async function openTables(
  config: Pick<Config, 'batchStore' | 'port' | 'socket'>,
  open: (path: string) => Promise<Database> = openHere,
): Promise<Tables> {
  const path = preparedFile(directoryOf(config))
  let database: Database | null = null
  try {
    database = await open(path)
    // One that is at its end may hold it for a moment yet.
    database.exec('PRAGMA busy_timeout = 2000')
    // Locked as long as the process lives: the lines of a batch must not be run by two routers.
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    database.exec('PRAGMA journal_mode = WAL')
    // What a process wrote outlives it; what a lost power supply takes was not told to anybody as an end.
    database.exec('PRAGMA synchronous = NORMAL')
    database.exec('BEGIN EXCLUSIVE')
    database.exec('COMMIT')
  } catch (error) {
    database?.close()
    const why = error instanceof Error ? error.message : String(error)
    const hint = /locked|busy/i.test(why) ? ': another router has it' : ''
    throw new Error(`files and batches cannot be kept in ${path}${hint} (${why})`, { cause: error })
  }
  return tablesOf(database)
}

/** Undefined: in memory. */
function directoryOf({
  batchStore,
  port,
  socket,
}: Pick<Config, 'batchStore' | 'port' | 'socket'>): string | undefined {
  if (batchStore !== undefined) return batchStore === 'memory' ? undefined : batchStore
  if (socket !== undefined) return `${socket}.batches`
  return port > 0 ? join('.fetchway', `${port}.batches`) : undefined
}

/** What people send in is for the router's user alone. */
function preparedFile(directory: string | undefined): string {
  if (directory === undefined) return MEMORY
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, FILE)
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
  return path
}

async function openHere(path: string): Promise<Database> {
  const { DatabaseSync } = await import('node:sqlite')
  return new DatabaseSync(path) as unknown as Database
}

/** The tables of a database. Statements are prepared once. */
export function tablesOf(database: Database): Tables {
  const prepared = new Map<string, ReturnType<Database['prepare']>>()
  let depth = 0
  return {
    all(statement, ...values) {
      let one = prepared.get(statement)
      if (!one) prepared.set(statement, (one = database.prepare(statement)))
      return one.all(...values) as Row[]
    },
    transaction(work) {
      // One inside another is a part of it.
      if (depth > 0) return work()
      depth++
      database.exec('BEGIN')
      try {
        const made = work()
        database.exec('COMMIT')
        return made
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      } finally {
        depth--
      }
    },
    close: () => database.close(),
  }
}
