// Who waits for room, and who goes next: lower priority value first, then the tenant that was served least, then arrival.
import type { Ask } from '../actors/ask.ts'

export interface Waiter {
  readonly ask: Ask
  /** Epoch ms. */
  readonly since: number
  /** Where it stands among those of its priority and tenant, lower first; absent: as it came. */
  readonly key?: number
}

/**
 * A bounded waiting line. Deadlines are checked lazily, by `expire`. Served tokens per tenant count like virtual time (Sheng et al., VTC,
 * 2024).
 */
export class Queue<W extends Waiter> {
  readonly #waiters = new Map<string, W>()
  readonly #served = new Map<string, number>()
  /** The least counter among tenants that wait; a newcomer starts there, so that idling earns no credit. */
  #floor = 0

  get size(): number {
    return this.#waiters.size
  }

  get(id: string): W | undefined {
    return this.#waiters.size === 0 ? undefined : this.#waiters.get(id)
  }

  add(waiter: W): void {
    this.#waiters.set(waiter.ask.id, waiter)
    const served = this.#served.get(waiter.ask.tenant) ?? 0
    this.#served.set(waiter.ask.tenant, Math.max(served, this.#floor))
  }

  /** Takes a waiter out (its client left, or it goes now); undefined when it is not there. */
  take(id: string): W | undefined {
    const waiter = this.get(id)
    if (!waiter) return undefined
    this.#waiters.delete(id)
    if (this.#waiters.size === 0) this.#served.clear()
    return waiter
  }

  /** The waiter that goes next among those that fit, without taking it. `fits` is asked once for all that need the same. */
  next(fits: (waiter: W) => boolean): W | undefined {
    const fit = new Map<string, boolean>()
    let best: W | undefined
    for (const waiter of this.#waiters.values()) {
      if (best && !this.#goesBefore(waiter.ask, best.ask)) continue
      const need = `${waiter.ask.model}\n${waiter.ask.pin}\n${waiter.ask.engines?.join()}`
      let fitting = fit.get(need)
      if (fitting === undefined) fit.set(need, (fitting = fits(waiter)))
      if (fitting) best = waiter
    }
    return best
  }

  /** All that wait, in the order in which they go: by priority, by tenant, by their keys. */
  inOrder(): W[] {
    return [...this.#waiters.values()].sort((a, b) => {
      if (this.#goesBefore(a.ask, b.ask)) return -1
      if (this.#goesBefore(b.ask, a.ask)) return 1
      return (a.key ?? a.since) - (b.key ?? b.since)
    })
  }

  /** Counts what a tenant got, in tokens. */
  served(ask: Ask): void {
    if (this.#waiters.size === 0) return
    const counter = (this.#served.get(ask.tenant) ?? this.#floor) + Math.max(1, ask.tokens)
    this.#served.set(ask.tenant, counter)
    let floor = Infinity
    for (const waiter of this.#waiters.values())
      floor = Math.min(floor, this.#served.get(waiter.ask.tenant) ?? 0)
    this.#floor = Math.max(this.#floor, floor)
  }

  /** Takes out those whose time is up. */
  expire(now: number): W[] {
    const late: W[] = []
    for (const waiter of this.#waiters.values()) if (waiter.ask.queueUntil <= now) late.push(waiter)
    for (const waiter of late) this.take(waiter.ask.id)
    return late
  }

  #goesBefore(a: Ask, b: Ask): boolean {
    if (a.priority !== b.priority) return a.priority < b.priority
    return (this.#served.get(a.tenant) ?? 0) < (this.#served.get(b.tenant) ?? 0)
  }
}
