// Where files and batches are kept on Workers: the SQLite storage of their Durable Object.
import type { Tables } from '../../src/batches/tables.ts'

export const tablesOf = (storage: DurableObjectStorage): Tables => ({
  // It takes views of bytes as well as buffers.
  all: (statement, ...values) => storage.sql.exec(statement, ...(values as (string | number)[])).toArray(),
  transaction: (work) => storage.transactionSync(work),
  close() {},
})
