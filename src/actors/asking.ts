// What a worker says of itself when the registry asks it.
import type { Config } from '../config/schema.ts'
import { askWorker } from '../discovery/ask.ts'
import { discover, type AskWorker, type EngineFacts } from '../engines/engine.ts'
import type { Host, WorkerRef } from '../host.ts'
import { mayBeBare, type WorkerRecord } from './members.ts'
import { rankProblem } from './ranks.ts'

export interface Told {
  /** Null: it does not answer, or not as any engine does. */
  readonly facts: EngineFacts | null
  readonly isKeyRefused: boolean
}

/** Asks a worker what it is. `timeout` (ms) holds for each of the questions. Never throws. */
export async function askFacts(
  host: Pick<Host, 'fetch' | 'timer'>,
  worker: WorkerRef,
  record: WorkerRecord,
  timeout: number,
): Promise<Told> {
  let isKeyRefused = false
  const ask: AskWorker = async (method, path) => {
    const asked = await askWorker(host, worker, { method, path, timeout })
    if (asked.status === 401 || asked.status === 403) isKeyRefused = true
    return asked.status === 0 ? null : (asked as Exclude<typeof asked, { status: 0 }>)
  }
  const facts = await discover(ask, record.spec.engine, mayBeBare(record))
  return { facts, isKeyRefused }
}

/** Tells once of a worker that will never be ready as it is configured. */
export function judge(
  { log }: Pick<Host, 'log'>,
  record: WorkerRecord,
  isKeyRefused: boolean,
  config: Pick<Config, 'ranks'>,
): void {
  const problem = isKeyRefused
    ? 'it refuses the key (or the lack of one): set its apiKey'
    : rankProblem(record, config)
  if (problem !== null && record.problem !== problem)
    log({ level: 'warn', message: `worker ${record.spec.url}: ${problem}`, worker: record.id })
  record.problem = problem
}
