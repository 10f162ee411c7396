// How production-stack tells that one half of a pair failed: by an object in its plain form, by a sentence in its orchestrated one.
import type { RefusalValue } from '../../actors/ask.ts'
import type { Core } from '../../core.ts'
import { answer } from '../python/fastapi.ts'
import { optionsOf } from './options.ts'

type Leg = 'prefill' | 'decode'

const NAMES = { prefill: 'Prefiller', decode: 'Decoder' } as const
const VERBS = { prefill: 'Prefill', decode: 'Decode' } as const

/** An engine's refusal. */
export function pairError(core: Core, leg: Leg, status: number, text: string): object {
  if (isOrchestrated(core)) return { error: `${VERBS[leg]} failed: ${text}` }
  return { error: { message: `${NAMES[leg]} error: ${text}`, type: typeOf(leg), code: status } }
}

const typeOf = (leg: Leg): string => `${NAMES[leg].toLowerCase()}_error`

/** No answer of an engine; undefined: this is no call of a pair, or the refusal is about something else. */
export function pairRefusal(core: Core, { code, message }: RefusalValue, path: string): Response | undefined {
  const { routing } = optionsOf(core).live
  if (!routing.startsWith('disaggregated') || !PAIRED.has(path)) return undefined
  if (!code.startsWith('worker_') && !code.endsWith('_timeout')) return undefined
  if (isOrchestrated(core)) return answer({ error: `HTTP error: ${message}` }, 503)
  const leg = message.includes('prefill worker') ? 'prefill' : 'decode'
  return answer(pairError(core, leg, 500, message), 500)
}

/** What is answered by pairs. */
const PAIRED: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/completions', '/v1/responses'])

const isOrchestrated = (core: Core): boolean =>
  optionsOf(core).live.routing === 'disaggregated_prefill_orchestrated'
