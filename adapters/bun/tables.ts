// Where files and batches are kept on Bun: its own SQLite.
import type { Tables } from '../../src/batches/tables.ts'
import type { Config } from '../../src/config/schema.ts'
import { openTables, type Database } from '../node/tables.ts'

/** Opens what keeps files and batches. Rejects when it can't be opened, or another router has it. */
export const openBunTables = (config: Config): Promise<Tables> => openTables(config, openHere)

async function openHere(path: string): Promise<Database> {
  // @ts-expect-error -- the types of a whole runtime are not a dependency
  const { Database } = (await import('bun:sqlite')) as { Database: new (path: string) => Database }
  return new Database(path)
}
