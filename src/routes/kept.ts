// What requests for files and batches have in common that the router keeps itself.
import type { Remote } from '../actors/actor.ts'
import type { RefusalValue } from '../actors/ask.ts'
import type { Batches } from '../actors/batches.ts'
import type { BatchObject } from '../batches/batch.ts'
import type { FileObject } from '../batches/files.ts'
import type { Listed, Page } from '../batches/tables.ts'
import { Refusal, wrongMethod } from '../openai/errors.ts'

/** How another router's API differs. */
export interface Manner {
  /** Of an id, behind its prefix. */
  readonly digits: number
  /** Purpose of uploads that name none, where any is taken; undefined: one of OpenAI's must be named. */
  readonly purpose?: string
  /** What the input of a batch must be for; null: anything. */
  readonly inputPurpose: string | null
  /** Completion window of batches that name none. */
  readonly window?: string
  /** DELETE of a batch cancels it. */
  readonly deletesBatches: boolean
  file(file: FileObject): object
  batch(batch: BatchObject): object
}

/** A request for something that is kept. */
export interface Kept {
  readonly batches: Remote<Batches>
  /** Nobody else sees what it keeps. */
  readonly owner: string
  /** '' for the collection. */
  readonly id: string
  /** What follows the id: `content`, `cancel`. */
  readonly rest: string
  readonly manner: Manner
}

/** The value of an actor's answer, or its refusal as an error. */
export function accepted<T>(answer: T | RefusalValue): T {
  if (typeof answer !== 'object' || answer === null || !('code' in answer)) return answer as T
  throw new Refusal(answer.status, answer.code, answer.message)
}

/** What of a list is asked for. Throws 400. */
export function pageIn(query: URLSearchParams, initial: number, most: number): Page {
  const limit = Number(query.get('limit') ?? initial)
  if (!Number.isInteger(limit) || limit < 1 || limit > most)
    throw new Refusal(400, 'invalid_limit', `limit must be a whole number from 1 to ${most}.`)
  const after = query.get('after')
  return { limit, ...(after && { after }), ...(query.get('order') === 'asc' && { isAscending: true }) }
}

/** A list as the API has it. Throws 400 when it was to begin behind something that is not there. */
export function listOf<T extends { readonly id: string }>(
  listed: Listed<T> | null,
  tell: (item: T) => object,
): object {
  if (listed === null) throw new Refusal(400, 'invalid_after', 'There is nothing with the id in "after".')
  const { items, hasMore } = listed
  const ids = { first_id: items[0]?.id ?? null, last_id: items.at(-1)?.id ?? null }
  return { object: 'list', data: items.map(tell), ...ids, has_more: hasMore }
}

export const noMethod = (method: string, allow: string): Refusal =>
  wrongMethod(`${method} is not possible here.`, allow)
