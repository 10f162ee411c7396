// What workers tell while they work: their load, and what their KV caches hold.
import * as z from './form.ts'
import { flag, whole } from './kinds.ts'
import { duration } from './units.ts'

export const load = {
  loadInterval: duration('2s'),
  loadAlways: flag(false),
  orca: flag(true),
}

export const events = {
  kvEvents: z.prefault(z.enum(['auto', 'off']), 'auto'),
  kvBlockTokens: z.prefault(whole(1), 16),
  kvSessions: z.prefault(z.enum(['auto', 'all', 'off']), 'auto'),
}
