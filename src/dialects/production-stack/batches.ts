// production-stack's files and batches: ours, in its shapes.
import type { BatchStatus } from '../../batches/batch.ts'
import type { Core } from '../../core.ts'
import { Refusal } from '../../openai/errors.ts'
import { kept } from '../../routes/keeping.ts'
import type { Manner } from '../../routes/kept.ts'
import { methodNotAllowed } from '../python/fastapi.ts'
import { failure } from './answers.ts'
import { optionsOf } from './options.ts'

/** Its words for where a batch is. A cancel is told as done at once. */
const STATUSES: Readonly<Record<BatchStatus, string>> = {
  validating: 'pending',
  in_progress: 'running',
  finalizing: 'running',
  completed: 'completed',
  failed: 'failed',
  expired: 'failed',
  cancelling: 'cancelled',
  cancelled: 'cancelled',
}

/** There the window of a batch that names none is `5s`, and nothing ends by it. */
const MANNER: Manner = {
  digits: 6,
  purpose: 'unknown',
  inputPurpose: null,
  window: '5s',
  deletesBatches: true,
  file: ({ id, bytes, created_at, filename, purpose }) => ({ id, bytes, created_at, filename, purpose }),
  batch: (batch) => ({ ...batch, status: STATUSES[batch.status] }),
}

const PATHS = /^\/v1\/(?:files|batches)(?:\/|$)/

/** Answers /v1/files and /v1/batches; undefined: it is another path. */
export function filesAndBatches(core: Core, request: Request, path: string): Promise<Response> | undefined {
  return PATHS.test(path) ? keptOrNot(core, request, path) : undefined
}

async function keptOrNot(core: Core, request: Request, path: string): Promise<Response> {
  if (!optionsOf(core).hasBatchApi) {
    const what = path.startsWith('/v1/files') ? 'save file' : 'create batch'
    return failure(`Failed to ${what}: the batch API is off (--enable-batch-api)`, 500)
  }
  try {
    return await kept(core, request, path, MANNER)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    if (error.code === 'method_not_allowed') return methodNotAllowed('GET, POST, DELETE')
    const found = /^No such (file|batch): (.*)\.$/.exec(error.message)
    if (!found) throw error
    const response = failure(`${found[1] === 'file' ? 'File' : 'Batch'} ${found[2]} not found`, 404)
    response.headers.set('x-fetchway-error', error.code)
    return response
  }
}
