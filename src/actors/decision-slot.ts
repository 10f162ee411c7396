// One attempt of a call as the log of decisions keeps it: written in place, so that keeping it costs no memory of its own.
import type { Weigh } from '../policies/policy.ts'
import type { Ask, Failure, Outcome, RefusalValue } from './ask.ts'

/** One attempt of a call. Slots are used over and over: numbers are written in place. */
export interface Slot {
  /** Of all attempts, from 0. */
  serial: number
  id: string
  model: string | null
  engines: readonly string[] | null
  pin: string | null
  tenant: string
  policy: string
  weigh: Weigh | null
  hasSession: boolean
  stream: boolean
  makesState: boolean
  /** Serial of the attempt before in the same call; -1: none. */
  prior: number
  /** Id of the worker; null: nobody was chosen. */
  chosen: string | null
  prefill: string | null
  /** Those that serve the ask, in the order of the rows. */
  workers: readonly Named[]
  failure: Failure | null
  refusal: RefusalValue | null
  /** Null while it goes on. */
  outcome: Outcome['kind'] | null
  /** Tried by the router without the pool. */
  isDegraded: boolean
  readonly numbers: Float64Array
}

/** Numbers of an attempt. */
export const HEAD = {
  at: 0,
  attempt: 1,
  tokens: 2,
  blocks: 3,
  promptBytes: 4,
  priority: 5,
  promptTokens: 6,
  bestMatch: 7,
  popularity: 8,
  nominalSpeed: 9,
  bytesPerToken: 10,
  waited: 11,
  delay: 12,
  predicted: 13,
  firstRow: 14,
  /** 1: it waited though there was room. */
  isHeld: 15,
  /** ms; -1: it has not come (and so below). */
  firstToken: 16,
  endedAt: 17,
  status: 18,
  realPrompt: 19,
  realCached: 20,
  realCompletion: 21,
} as const
const HEAD_WIDTH = 22

/** What never changes of a worker. */
export interface Named {
  readonly id: string
  readonly url: string
  readonly role: string
  readonly engine: string
}

const NOBODY: readonly Named[] = []

/** Makes a slot that of a new attempt: what is known of the ask, and nothing of what came of it. */
export function beginSlot(slot: Slot, ask: Ask, { serial, attempt, now }: Beginning): void {
  slot.serial = serial
  slot.id = ask.id
  slot.model = ask.model
  slot.engines = ask.engines
  slot.pin = ask.pin
  slot.tenant = ask.tenant
  slot.policy = ''
  slot.weigh = null
  slot.hasSession = ask.session !== null
  slot.stream = ask.stream
  slot.makesState = ask.makesState
  slot.prior = -1
  slot.chosen = null
  slot.prefill = null
  slot.workers = NOBODY
  slot.failure = null
  slot.refusal = null
  slot.outcome = null
  slot.isDegraded = false
  const { numbers } = slot
  numbers.fill(0, 0, HEAD.firstToken)
  numbers.fill(-1, HEAD.firstToken)
  numbers[HEAD.at] = now
  numbers[HEAD.attempt] = attempt
  numbers[HEAD.tokens] = ask.tokens
  numbers[HEAD.blocks] = ask.prefix?.length ?? 0
  numbers[HEAD.promptBytes] = ask.promptBytes
  numbers[HEAD.priority] = ask.priority
}

interface Beginning {
  readonly serial: number
  readonly attempt: number
  readonly now: number
}

/** The attempt ended so. */
export function endSlot(slot: Slot, outcome: Outcome, now: number): void {
  slot.outcome = outcome.kind
  slot.failure = outcome.failure ?? null
  const { numbers } = slot
  numbers[HEAD.endedAt] = now
  numbers[HEAD.status] = outcome.status ?? outcome.failure?.status ?? -1
  if (!outcome.usage) return
  numbers[HEAD.realPrompt] = outcome.usage.promptTokens
  numbers[HEAD.realCached] = outcome.usage.estimated ? -1 : (outcome.usage.cachedTokens ?? -1)
  numbers[HEAD.realCompletion] = outcome.usage.completionTokens
}

export const emptySlot = (): Slot => ({
  serial: -1,
  id: '',
  model: null,
  engines: null,
  pin: null,
  tenant: '',
  policy: '',
  weigh: null,
  hasSession: false,
  stream: false,
  makesState: false,
  prior: -1,
  chosen: null,
  prefill: null,
  workers: NOBODY,
  failure: null,
  refusal: null,
  outcome: null,
  isDegraded: false,
  numbers: new Float64Array(HEAD_WIDTH),
})
