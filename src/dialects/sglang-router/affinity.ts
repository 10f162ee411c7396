// What keeps calls together in the SGLang router: the routing key, what stands in for it, and a worker that is named.
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'
import { Refusal } from '../../openai/errors.ts'
import { fleetOf } from '../gateway/fleet.ts'

const KEY = 'x-smg-routing-key'
const TARGET = 'x-smg-target-worker'
/** Longer keys are none. */
const LONGEST = 128
/** Without a key, consistent_hashing goes by the first of these that is there. */
const IMPLICIT = ['authorization', 'x-forwarded-for', 'cookie']

/**
 * The call with its session, and the worker that it must go to where the client named one by its place in the list; null: nobody has that
 * place.
 */
export async function affine(
  call: Call,
  headers: Headers,
  core: Core,
  policy: unknown,
): Promise<Call | null> {
  const session = keyOf(headers, policy)
  const target = policy === 'consistent_hashing' ? headers.get(TARGET) : null
  if (target === null) return { ...call, session }
  const worker = /^\d+$/.test(target) ? (await fleetOf(core))[Number(target)] : undefined
  return worker ? { ...call, session, pin: worker.id } : null
}

/** Throws: the worker that the client named is none. */
export function nobody(headers: Headers): never {
  const target = headers.get(TARGET) ?? ''
  throw new Refusal(503, 'no_workers', `There is no worker ${TARGET}: ${target.slice(0, 20)}.`)
}

function keyOf(headers: Headers, policy: unknown): string | null {
  const key = headers.get(KEY)
  if (key && key.length <= LONGEST) return key
  if (policy !== 'consistent_hashing') return null
  for (const name of IMPLICIT) {
    const value = headers.get(name)
    if (value !== null) return value.length <= LONGEST && value !== '' ? value : null
  }
  return null
}
