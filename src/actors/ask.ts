// The words that travel between the router and a pool. All of them are plain, structured-cloneable values.
import type { PdProtocol } from '../config/pairing.ts'
import type { PrefixCacheUse } from '../engines/engine.ts'
import type { OrcaLoad } from '../engines/orca.ts'
import type { FailureKind, WorkerRef } from '../host.ts'

/** What the pool is told of a call. Made by the router; `id` is the lease's id too. */
export interface Ask {
  readonly id: string
  /** The model as the workers know it (aliases resolved); null: any worker will do. */
  readonly model: string | null
  /** Chained hashes of the prompt's blocks (52-bit numbers), or null when nobody asked for them. */
  readonly prefix: Float64Array | null
  /** Canonical bytes of the prompt that `prefix` was made of, all of them; 0 where there is none. */
  readonly promptBytes: number
  /** A guess of the prompt's length in tokens. */
  readonly tokens: number
  readonly session: string | null
  /** Chained hashes of the prompt as a dialect cuts it; absent: it does not. */
  readonly chunks?: Float64Array
  /** Ids of workers that are known to hold most of its prompt. */
  readonly prefers?: readonly string[]
  /** A number that the turns of a conversation without a session have in common; absent: nobody looked. */
  readonly conversation?: number
  /** What engines call it in their KV events, where the client has named it; absent: by `id`. */
  readonly kvSession?: string
  /** Lower goes first. */
  readonly priority: number
  /** Tenant that fairness and limits count by. */
  readonly tenant: string
  readonly stream: boolean
  /** Epoch ms until which the ask may wait for room. */
  readonly queueUntil: number
  /** Engines that have this endpoint; null: all. */
  readonly engines: readonly string[] | null
  /** The only worker that can serve it (it holds the state), by id. */
  readonly pin: string | null
  /** Makes state on the worker: retried only if it never connected. */
  readonly makesState: boolean
  /** Engines that can compute its prompt on one worker and its answer on another; absent: none. */
  readonly pairs?: readonly string[]
}

interface PlanBase {
  /** Whose answer the client gets: of a pair, the decode worker. */
  readonly worker: WorkerRef
  /** Names the decision to the client and to `explain`. */
  readonly decision: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /** Milliseconds the ask waited in the queue. */
  readonly waited: number
  /** Milliseconds to wait before this attempt is sent (back-off when there is no other worker). */
  readonly delay: number
  /** Made by the router itself, because the pool did not answer. */
  readonly isDegraded?: boolean
  /** The worker is to tell its load with the answer. */
  readonly asksLoad?: boolean
}

/** One worker does it all. */
export interface SinglePlan extends PlanBase {
  readonly kind: 'single'
}

/** One worker computes the prompt, another one the answer. */
export interface PairPlan extends PlanBase {
  readonly kind: 'pair'
  readonly prefill: WorkerRef
  /** How KV gets from one to the other. */
  readonly protocol: PdProtocol
}

/** The decision for one attempt. */
export type Plan = SinglePlan | PairPlan

/** An error of our own as a value: it can travel out of an actor. */
export interface RefusalValue {
  readonly status: number
  readonly code: string
  readonly message: string
  /** Seconds, for the Retry-After header. */
  readonly retryAfter?: number
}

export type Pick = { readonly plan: Plan } | { readonly refusal: RefusalValue }

/** How an attempt failed before its first byte. */
export interface Failure {
  readonly kind: FailureKind | 'status'
  /** Set when `kind` is `status`: a retryable answer of the engine. */
  readonly status?: number
  /** From the engine's Retry-After, ms. */
  readonly retryAfter?: number
  /** Set where it was the prefill worker of a pair. */
  readonly leg?: 'prefill'
}

export interface Usage {
  readonly promptTokens: number
  /** Null: the engine did not tell. */
  readonly cachedTokens: number | null
  readonly completionTokens: number
  /** Counted by the router because the stream ended before the engine told. */
  readonly estimated: boolean
}

/** How an attempt ended. Settling twice or late is harmless. */
export interface Outcome {
  readonly kind: 'done' | 'failed' | 'left'
  readonly status?: number
  readonly failure?: Failure
  readonly usage?: Usage
  /** Id of a stored response that lives on the worker from now on. */
  readonly state?: string
  /** Ids of the workers that it was sent to, where the router decided without the pool. */
  readonly alone?: readonly string[]
  /** What the worker told of its load with the answer. */
  readonly load?: OrcaLoad
}

/** What an engine told of its load, over all its ranks. -1: not told. */
export interface ReportedLoad {
  readonly running: number
  readonly waiting: number
  /** Prompt tokens of the waiting calls that are not cached. */
  readonly waitingUncachedTokens: number
  /** KV tokens in use by running calls. */
  readonly usedTokens: number
  readonly capacityTokens: number
  /** Share of the KV cache in use, 0 to 1. */
  readonly usage: number
  readonly prefixCache?: PrefixCacheUse
  /** Epoch ms. */
  readonly at: number
}

/** A call that goes on, with what a pool that lost it must know. */
export interface Renewal {
  readonly id: string
  /** Id of the worker that answers it. */
  readonly worker: string
  /** The prompt's, as guessed. */
  readonly tokens: number
  /** Its first token came. */
  readonly isDecoding: boolean
}

/** Something that happened to a lease in mid-life, or that a worker told; sent in batches, never waited for. */
export type Note =
  | { readonly id: string; readonly kind: 'first'; readonly after: number; readonly load?: OrcaLoad }
  /** The prefill worker of a pair has done its part, `after` ms; what its answer told of the prompt. */
  | { readonly id: string; readonly kind: 'handover'; readonly after: number; readonly usage?: Usage }
  | { readonly id: string; readonly kind: 'state'; readonly state: string }
  | { readonly worker: string; readonly kind: 'load'; readonly load: ReportedLoad }
