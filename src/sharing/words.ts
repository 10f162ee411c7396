// What routers with the same workers say to each other, as JSON: asks are hashes and lengths, a few hundred bytes; workers go by their ids.
import type {
  Ask,
  Failure,
  Note,
  Outcome,
  PairPlan,
  Pick as Picked,
  Plan,
  RefusalValue,
  Renewal,
  SinglePlan,
} from '../actors/ask.ts'
import type { Digest } from '../actors/exchange.ts'
import type { WorkerRef } from '../host.ts'

/** Where routers talk to each other, with the key of the control plane. */
export const PATH = '/fetchway/v1/pool'

/** An ask as it travels: hashes in base64, and for how long it may wait (null: as long as it takes), since clocks differ. */
export interface SaidAsk extends Omit<Ask, 'prefix' | 'queueUntil'> {
  readonly prefix: string | null
  readonly queueFor: number | null
}

/** A digest as it travels. */
export interface SaidDigest extends Omit<Digest, 'placed'> {
  readonly placed: readonly (readonly [worker: string, prefix: string])[]
}

/** A plan as it travels: a router knows its workers itself, so that no key of theirs goes from one to another. */
export type SaidPlan =
  | (Omit<SinglePlan, 'worker'> & { readonly worker: string })
  | (Omit<PairPlan, 'worker' | 'prefill'> & { readonly worker: string; readonly prefill: string })

/** One thing said. `pick` and `repick` are answered by a `SaidPick`, the rest by null. */
export type Said =
  | readonly ['pick', SaidAsk]
  | readonly ['repick', Failure, SaidAsk, readonly string[]]
  | readonly ['note', readonly Note[]]
  | readonly ['renew', readonly Renewal[]]
  | readonly ['settle', string, Outcome]
  | readonly ['expire']
  | readonly ['hear', SaidDigest]

/** `waits`: no decision yet; the same ask again gets it. */
export type SaidPick =
  | { readonly plan: SaidPlan }
  | { readonly refusal: RefusalValue }
  | { readonly waits: true }

/** An ask as it travels: instants become times from `now` on, for clocks differ. */
export function sayAsk({ prefix, queueUntil, ...ask }: Ask, now: number): SaidAsk {
  const queueFor = queueUntil === Infinity ? null : Math.max(0, queueUntil - now)
  return { ...ask, prefix: prefix && sayHashes(prefix), queueFor }
}

/** An ask that came, by the clock of who reads it. */
export function readAsk({ prefix, queueFor, ...ask }: SaidAsk, now: number): Ask {
  return {
    ...ask,
    prefix: prefix === null ? null : readHashes(prefix),
    queueUntil: queueFor === null ? Infinity : now + queueFor,
  }
}

/** A digest as it travels. */
export function sayDigest({ placed, ...digest }: Digest): SaidDigest {
  return { ...digest, placed: placed.map(({ worker, prefix }) => [worker, sayHashes(prefix)] as const) }
}

/** A digest that came. */
export function readDigest({ placed, ...digest }: SaidDigest): Digest {
  return { ...digest, placed: placed.map(([worker, prefix]) => ({ worker, prefix: readHashes(prefix) })) }
}

/** A pick as it travels: workers by their ids, for both sides know the rest. */
export function sayPick(pick: Picked): SaidPick {
  if ('refusal' in pick) return pick
  const { plan } = pick
  return plan.kind === 'single'
    ? { plan: { ...plan, worker: plan.worker.id } }
    : { plan: { ...plan, worker: plan.worker.id, prefill: plan.prefill.id } }
}

/** Null: a worker of the plan is not known here. */
export function readPlan(plan: SaidPlan, workerOf: (id: string) => WorkerRef | undefined): Plan | null {
  const worker = workerOf(plan.worker)
  if (!worker) return null
  if (plan.kind === 'single') return { ...plan, worker }
  const prefill = workerOf(plan.prefill)
  return prefill ? { ...plan, worker, prefill } : null
}

/** Eight bytes a hash, in base64. */
function sayHashes(hashes: Float64Array): string {
  const bytes = new Uint8Array(hashes.buffer, hashes.byteOffset, hashes.byteLength)
  return btoa(String.fromCharCode(...bytes))
}

/** Throws a `TypeError` where the text is none of `sayHashes`. */
function readHashes(text: string): Float64Array {
  const binary = decoded(text)
  if (binary === null || binary.length % 8 !== 0) throw new TypeError('these are no hashes')
  return new Float64Array(Uint8Array.from(binary, (char) => char.charCodeAt(0)).buffer)
}

function decoded(text: string): string | null {
  try {
    return atob(text)
  } catch {
    return null // other characters than base64 has
  }
}
