// What an operator may put around calls. The core knows no more of it than this: a runtime that can't have it carries none of it.
import type { Caller } from '../admission/auth.ts'
import type { Config } from '../config/schema.ts'
import type { Core } from '../core.ts'
import type { Call } from '../openai/call.ts'

/** A call that was read, before it is let in. */
export interface Met {
  readonly call: Call
  readonly caller: Caller
  /** The call goes on as another one. */
  readonly seen: (call: Call) => void
}

/** A model of a provider outside of the fleet. */
export interface ProviderModel {
  readonly id: string
  /** Name of the provider. */
  readonly ownedBy: string
}

/** How the semantic cache does. */
export interface CacheUse {
  readonly hits: number
  readonly misses: number
  readonly size: number
  /** Mean seconds of a look-up; 0: there was none. */
  readonly latency: number
}

export interface Extensions {
  /** The rest of the corridor with what is around it. Throws as `infer` does. */
  infer(core: Core, request: Request, met: Met): Promise<Response>
  /** Models that are listed besides those of the fleet. */
  models(): readonly ProviderModel[]
  /** Null: there is no cache. */
  cacheUse(): CacheUse | null
}

/** Makes what a configuration asks for; null: nothing. Rejects with a sentence when it can't. */
export type Extend = (config: Config, core: Core) => Promise<Extensions | null>
