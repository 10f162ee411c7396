// One attempt of a call as the log of decisions keeps it: written in place, so that keeping it costs no memory of its own.
import type { Weigh } from '../policies/policy.ts'
import type { Ask, Failure, Outcome, RefusalValue } from './ask.ts'

/** One attempt of a call. Slots are used over and over; their numbers (`HEAD`) lie side by side in an array of the log's. */
export interface Slot {
  /** Of all attempts, from 0. */
  serial: number
  /** Of the call; empty where it lies with the numbers. */
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
  /** No number: its bytes are those of the call's id, as `packId` puts them there. */
  id: 22,
} as const
const ID_WIDTH = 4
export const HEAD_WIDTH = HEAD.id + ID_WIDTH

/** What never changes of a worker. */
export interface Named {
  readonly id: string
  readonly url: string
  readonly role: string
  readonly engine: string
}

const NOBODY: readonly Named[] = []

/** What is known of a call that a router decided without its pool. */
export const UNKNOWN: Ask = {
  id: '',
  model: null,
  prefix: null,
  promptBytes: 0,
  tokens: 0,
  session: null,
  priority: 0,
  tenant: '',
  stream: false,
  queueUntil: 0,
  engines: null,
  pin: null,
  makesState: false,
}

/** Makes a slot that of a new attempt: what is known of the ask, and nothing of what came of it. Its numbers begin at `at`. */
export function beginSlot(slot: Slot, ask: Ask, { serial, attempt, now, numbers, at }: Beginning): void {
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
  for (let field = HEAD.promptTokens; field < HEAD.firstToken; field++) numbers[at + field] = 0
  for (let field = HEAD.firstToken; field < HEAD.id; field++) numbers[at + field] = -1
  numbers[at + HEAD.at] = now
  numbers[at + HEAD.attempt] = attempt
  numbers[at + HEAD.tokens] = ask.tokens
  numbers[at + HEAD.blocks] = ask.prefix?.length ?? 0
  numbers[at + HEAD.promptBytes] = ask.promptBytes
  numbers[at + HEAD.priority] = ask.priority
}

interface Beginning {
  readonly serial: number
  readonly attempt: number
  readonly now: number
  readonly numbers: Float64Array
  readonly at: number
}

/** The attempt ended so: writes what its numbers, from `at` on, tell of it. */
export function endSlot(slot: Slot, outcome: Outcome, { now, numbers, at }: Ending): void {
  slot.outcome = outcome.kind
  slot.failure = outcome.failure ?? null
  numbers[at + HEAD.endedAt] = now
  numbers[at + HEAD.status] = outcome.status ?? outcome.failure?.status ?? -1
  if (!outcome.usage) return
  numbers[at + HEAD.realPrompt] = outcome.usage.promptTokens
  numbers[at + HEAD.realCached] = outcome.usage.estimated ? -1 : (outcome.usage.cachedTokens ?? -1)
  numbers[at + HEAD.realCompletion] = outcome.usage.completionTokens
}

type Ending = Pick<Beginning, 'now' | 'numbers' | 'at'>

/**
 * Puts the id of an attempt that is over where its numbers are: thousands of strings, of which each call brings a new one, were all
 * that outlived two rounds of the collector (60 bytes a call). `bytes`: of the numbers; `at`: where those of `HEAD.id` begin. Ids
 * that are too long, or not of one byte a character, stay as they are.
 */
export function packId(slot: Slot, bytes: Uint8Array, at: number): void {
  const { id } = slot
  // Empty: it lies there already.
  if (id === '' || id.length >= 8 * ID_WIDTH) return
  bytes[at] = id.length
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i)
    if (code > 255) return
    bytes[at + 1 + i] = code
  }
  slot.id = ''
}

/** Whether it is an attempt of that call, wherever its id lies. */
export function isOf(slot: Slot, id: string, bytes: Uint8Array, at: number): boolean {
  if (slot.id !== '') return slot.id === id
  if (bytes[at] !== id.length) return false
  for (let i = 0; i < id.length; i++) if (bytes[at + 1 + i] !== id.charCodeAt(i)) return false
  return true
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
})
