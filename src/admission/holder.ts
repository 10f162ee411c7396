// Finds the worker that holds a stored response or conversation: the pool remembers; after a restart the workers are asked.
import type { Core } from '../core.ts'
import { serverIdOf } from '../actors/ranks.ts'
import { askWorker } from '../discovery/ask.ts'
import type { WorkerRef } from '../host.ts'
import { Refusal, quoted } from '../openai/errors.ts'

/** Longest wait for one worker's word. */
const ASK_TIMEOUT = 5000

const KINDS = [
  ['conv', 'conversations'],
  ['batch', 'batches'],
  ['file', 'files'],
] as const

/** Id of the worker that holds it. Throws 404 when none does. */
export async function holderOf(core: Core, state: string): Promise<string> {
  if (!isId(state)) throw nobody(state)
  const pool = core.host.pool('main')
  const known = await pool.holder(state)
  if (known !== null) return known
  const membership = await core.host.registry('main').members(0)
  const workers = serversOf((membership?.members ?? []).map((member) => member.ref))
  const found = workers.length === 1 ? (workers[0] as WorkerRef) : await search(core, workers, state)
  if (!found) throw nobody(state)
  await pool.hold(state, found.id)
  return found.id
}

/** Engines' ids are short words; anything else is a client that plays with us, and would be put into a path. */
const isId = (state: string): boolean => /^(?!\.{1,2}$)[\x21-\x7e]{1,256}$/.test(state)

const nobody = (state: string): Refusal =>
  new Refusal(
    404,
    'state_not_found',
    `No worker here holds ${quoted(state)}: it was deleted, has expired, or its worker is gone.`,
  )

/** One worker for each server: its ranks hold things together. */
function serversOf(workers: readonly WorkerRef[]): WorkerRef[] {
  return [...new Map(workers.map((worker) => [serverIdOf(worker.id), worker])).values()]
}

/** Asks all workers at once; the first that has it wins. */
async function search(core: Core, workers: readonly WorkerRef[], state: string): Promise<WorkerRef | null> {
  const kind = KINDS.find(([prefix]) => state.startsWith(prefix))?.[1] ?? 'responses'
  const path = `/v1/${kind}/${encodeURIComponent(state)}`
  const asked = workers.map(async (worker) => {
    const reply = await askWorker(core.host, worker, { method: 'GET', path, timeout: ASK_TIMEOUT })
    if (reply.status < 200 || reply.status > 299) throw new Error('not here')
    return worker
  })
  return Promise.any(asked).catch(() => null)
}
