// What the parts of the corridor share: the configuration in force, the host, and the few things one router process holds.
import type { Caller } from './admission/auth.ts'
import type { BodyBudget } from './admission/body.ts'
import type { Config } from './config/schema.ts'
import type { Links } from './execute/links.ts'
import type { Extensions } from './extensions/extension.ts'
import type { Models } from './admission/models.ts'
import type { Alarms } from './forward/alarms.ts'
import type { Notes } from './forward/notes.ts'
import type { Surface } from './dialects/dialect.ts'
import type { Host } from './host.ts'
import type { Ids } from './ids.ts'
import type { Instruments } from './metrics/instruments.ts'
import type { Meter } from './metrics/prometheus.ts'
import type { Recorder } from './replay/recorder.ts'

export interface Core {
  /** Frozen; a reload puts another one here. A call keeps the one that it began with where it matters. */
  config: Config
  readonly host: Host
  readonly models: Models
  readonly buffers: BodyBudget
  readonly notes: Notes
  /** The clocks of the calls under way. */
  readonly alarms: Alarms
  /** Which engines were introduced to each other. */
  readonly links: Links
  readonly instruments: Instruments
  readonly meter: Meter
  /** Null: calls are not recorded. */
  readonly recorder: Recorder | null
  /** Who makes the calls that come from the router itself. */
  readonly callers: WeakMap<Request, Caller>
  readonly ids: Ids
  /** The dialect that is spoken; null: none, or not loaded yet. */
  surface: Surface | null
  /** What an operator put around calls; null: nothing. */
  extensions: Extensions | null
  /** Calls that have not ended yet, for a graceful stop. */
  live: number
  /** Told to stop: /readyz says so. */
  isDraining: boolean
}
