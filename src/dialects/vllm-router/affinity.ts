// What keeps calls together in the vLLM router: headers and fields of the body, in its order.
import type { Call } from '../../openai/call.ts'
import { BodyError, type TopLevel } from '../../openai/scan.ts'

const HEADERS = ['x-session-id', 'x-user-id', 'x-tenant-id', 'x-correlation-id', 'x-request-id', 'x-trace-id']

/**
 * The call with its session: for consistent_hash the whole key that is hashed (`header:NAME:VALUE`, `session:V`, `user:V`), else
 * the bare value. A request id is no session, unless `isStrict`: each call has another one.
 */
export function affine(call: Call, headers: Headers, policy: unknown, isStrict: boolean): Call {
  const isHashed = policy === 'consistent_hash'
  for (const name of HEADERS) {
    if (name === 'x-request-id' && !isStrict) continue
    const value = headers.get(name)
    if (value) return { ...call, session: isHashed ? `header:${name}:${value}` : value }
  }
  const found = call.body.kind === 'json' ? bodyKey(call.body.top) : null
  const session = found && (isHashed ? `${found.kind}:${found.value}` : found.value)
  return { ...call, session }
}

function bodyKey(top: TopLevel): { readonly kind: string; readonly value: string } | null {
  const kinds = [
    ['session', paramsId(top)],
    ['user', top.string('user')],
    ['session', top.string('session_id')],
    ['user', top.string('user_id')],
  ] as const
  for (const [kind, value] of kinds) if (value) return { kind, value }
  return null
}

function paramsId(top: TopLevel): string | null {
  if (top.kind('session_params') !== 'object') return null
  try {
    const id = (top.json('session_params') as { session_id?: unknown }).session_id
    return typeof id === 'string' ? id : null
  } catch (error) {
    // No JSON inside: the engine refuses it.
    if (error instanceof BodyError) return null
    throw error
  }
}
