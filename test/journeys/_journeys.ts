// One suite of black-box journeys for every runtime: a client, the router behind a fetch, and a simulated fleet.
import { describe, it } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { batches } from './_batches.ts'
import { beats } from './_beats.ts'
import { control } from './_control.ts'
import { endpoints } from './_endpoints.ts'
import { explain } from './_explain.ts'
import { exact } from './_kv.ts'
import { failures } from './_failures.ts'
import { leaving } from './_leaving.ts'
import { limits } from './_limits.ts'
import { pairs } from './_pairs.ts'
import { prefixes } from './_prefixes.ts'
import { ranks } from './_ranks.ts'
import { routing } from './_routing.ts'
import { shards } from './_shards.ts'
import { Rig, type Fleet, type Gap, type Open, type OpenOptions } from './_rig.ts'

export interface Runtime {
  readonly name: string
  readonly open: Open
  /** What this runtime is known not to do; the journeys go around it. */
  readonly gaps?: readonly Gap[]
  /** The groups that it travels; all by default. */
  readonly groups?: readonly (keyof typeof GROUPS)[]
}

/** What a journey starts with. */
export interface Start {
  /** Opens a router; workers are the fleet's URLs unless the configuration names others. It is closed, at rest, at the end. */
  open(config: ConfigInput, fleet: Fleet, options?: OpenOptions): Promise<Rig>
  /** Closes a router before the journey ends. */
  close(rig: Rig): Promise<void>
  has(gap: Gap): boolean
}

/** `gap`: the runtimes that can't make it. */
export type Journey = ((start: Start) => Promise<void>) & { readonly gap?: Gap }
/** Journeys by their sentences. */
export type Journeys = Readonly<Record<string, Journey>>

const GROUPS = {
  endpoints,
  routing,
  prefixes,
  explain,
  exact,
  control,
  limits,
  failures,
  leaving,
  pairs,
  ranks,
  beats,
  shards,
  batches,
} as const
const ALL = Object.keys(GROUPS) as (keyof typeof GROUPS)[]

/** Registers the suite for one runtime. */
export function journeys({ name, open, gaps = [], groups = ALL }: Runtime): void {
  for (const group of groups) {
    const table: Journeys = GROUPS[group]
    describe(`${name}: ${group}`, () => {
      for (const [sentence, journey] of Object.entries(table)) {
        const { gap } = journey
        const skip = gap !== undefined && gaps.includes(gap) && `a gap of this runtime: ${gap}`
        it(sentence, { skip }, () => travel(journey, open, gaps))
      }
    })
  }
}

/** Where an engine answers, waits a while for a router that did not get its word at the start, as on a machine that is busy. */
async function isUsed(rig: Rig, fleet: Fleet): Promise<void> {
  const isReady = async () => (await rig.ask('/readyz')).status === 200
  if (await isReady()) return
  const ask = async (one: Engine | null) => one?.fetch(new Request('http://engine/v1/models'))
  const answers = await Promise.allSettled(Object.values(fleet).map(ask))
  if (!answers.some((one) => one.status === 'fulfilled' && one.value?.ok)) return
  const end = performance.now() + 3000
  while (performance.now() < end && !(await isReady())) await new Promise((go) => setTimeout(go, 20))
}

async function travel(journey: Journey, open: Open, gaps: readonly Gap[]): Promise<void> {
  const closers = new Map<Rig, () => Promise<void>>()
  const close = async (rig: Rig) => {
    const closer = closers.get(rig)
    closers.delete(rig)
    await closer?.()
  }
  try {
    await journey({
      has: (gap) => gaps.includes(gap),
      close,
      async open(config, fleet, options = {}) {
        const opened = await open({ workers: Object.keys(fleet), ...config }, fleet, options)
        const rig = new Rig(opened, fleet, config.adminKey)
        closers.set(rig, () => opened.close())
        if (config.workers === undefined) await isUsed(rig, fleet)
        return rig
      },
    })
    for (const rig of closers.keys()) await rig.rests()
  } finally {
    await Promise.all([...closers.keys()].map(close))
  }
}
