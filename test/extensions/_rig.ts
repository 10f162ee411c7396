// A native router with what an operator puts around calls, and its fleet in this process.
import { extend, type Lent } from '../../src/extensions/extend.ts'
import type { Exports } from '../../src/extensions/hooks.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { rig, type Server } from '../dialects/_rig.ts'

export const W1 = 'http://w1:8000'
export const CHAT = '/v1/chat/completions'

export interface Around {
  readonly modules?: Readonly<Record<string, Exports>>
  /** Files by path; written ones, too. */
  readonly files?: Map<string, string>
}

/** Opens it with one worker, `w1`, unless the fleet says otherwise. */
export function open(
  fleet: Readonly<Record<string, Server | null>>,
  config: ConfigInput,
  { modules = {}, files = new Map() }: Around = {},
) {
  const lent: Lent = {
    load: async (path) => {
      const found = modules[path]
      if (!found) throw new Error(`${path} can't be loaded: there is none`)
      return found
    },
    files: {
      read: async (path) => files.get(path) ?? null,
      write: async (path, text) => void files.set(path, text),
    },
  }
  return rig(null, '', fleet, {
    workers: [W1],
    healthInterval: 'off',
    retryDelay: '1ms',
    ...config,
    lends: { extend: (wanted, core) => extend(wanted, core, lent) },
  })
}
