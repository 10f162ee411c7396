// What workers tell while they work: their load, and what their KV caches hold.
import * as z from './form.ts'
import { about, flag, whole } from './kinds.ts'
import { duration } from './units.ts'

export const load = {
  loadInterval: about(
    duration('2s'),
    'time between questions to a busy worker for its load (an idle one: five times that, without loadAlways), where the policy uses it; off: never',
  ),
  loadAlways: about(flag(false), 'ask for loads whatever the policy, so that /metrics tells them'),
  orca: about(flag(true), 'take the load that engines tell with their answers (endpoint-load-metrics)'),
}

export const events = {
  kvEvents: about(
    z.prefault(z.enum(['auto', 'off']), 'auto'),
    'follow the KV events of workers that publish them, so that it is known what they hold; off: guess',
  ),
  kvBlockTokens: about(z.prefault(whole(1), 16), 'tokens of a block of KV cache where events do not tell'),
  kvSessions: about(
    z.prefault(z.enum(['auto', 'all', 'off']), 'auto'),
    'name each call to such workers, so that its blocks are found: auto: vLLM alone; all: SGLang too',
  ),
}
