// Calls under way as the Rust routers count them: since when, where to, how often tried, and how they were given up.
import type { Plan } from '../../actors/ask.ts'
import type { Core } from '../../core.ts'
import { pathname } from '../../openai/target.ts'
import type { Step } from '../dialect.ts'

/** A worker that a call was sent to, in their words for roles. */
export interface Leg {
  readonly id: string
  readonly url: string
  readonly type: 'regular' | 'prefill' | 'decode'
}

export interface Flight {
  readonly startedAt: number
  /** Without the query. */
  readonly path: string
  readonly model: string
  readonly session: string | null
  /** Its client named the worker. */
  readonly isPinned: boolean
  readonly hasPrefix: boolean
  attempts: number
  legs: readonly Leg[]
  /** Its newest attempt failed. */
  hasFailed: boolean
}

export class Flights {
  readonly #all = new Map<string, Flight>()

  /** A call goes (again) to workers. */
  sent({ admitted, plan }: Step & { kind: 'sent' }, { models }: Core): Flight {
    const { ask, call, model } = admitted
    const known = this.#all.get(ask.id)
    const flight = known ?? {
      startedAt: call.startedAt,
      path: pathname(call.path),
      model: models.known(model) || 'unknown',
      session: ask.session,
      isPinned: ask.pin !== null,
      hasPrefix: ask.prefix !== null && ask.prefix.length > 0,
      attempts: 0,
      legs: [],
      hasFailed: false,
    }
    flight.attempts++
    flight.legs = legsOf(plan)
    flight.hasFailed = false
    this.#all.set(ask.id, flight)
    return flight
  }

  /** An attempt failed; the flight that it was part of, where it is known. */
  failed(id: string): Flight | undefined {
    const flight = this.#all.get(id)
    if (flight) flight.hasFailed = true
    return flight
  }

  find(id: string): Flight | undefined {
    return this.#all.get(id)
  }

  /** The call is over; undefined: it was over already, or was never sent. */
  over(id: string): Flight | undefined {
    const flight = this.#all.get(id)
    this.#all.delete(id)
    return flight
  }

  /** How many are so old, seconds: more than `above`, at most `upTo`. */
  aged(now: number, above: number, upTo: number): number {
    let count = 0
    for (const { startedAt } of this.#all.values()) {
      const age = (now - startedAt) / 1000
      if ((age > above || (above === 0 && age <= 0)) && age <= upTo) count++
    }
    return count
  }
}

function legsOf(plan: Plan): Leg[] {
  const { worker } = plan
  if (plan.kind === 'single') return [{ id: worker.id, url: worker.url, type: 'regular' }]
  const { prefill } = plan
  return [
    { id: prefill.id, url: prefill.url, type: 'prefill' },
    { id: worker.id, url: worker.url, type: 'decode' },
  ]
}
