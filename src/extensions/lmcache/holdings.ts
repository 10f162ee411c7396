// Which LMCache instance holds which chunks, as their workers tell.
import type { Chunk } from './chunks.ts'
import type { LmcacheMessage } from './messages.ts'

/** Chunks that are kept in mind at most; behind that the oldest are forgotten. */
const MOST_KEYS = 2_000_000

export interface Instance {
  readonly name: string
  /** Where its engine is, as it said. */
  ip: string
  /** Its workers by number: when each was heard of last, epoch ms. */
  readonly workers: Map<number, number>
  /** It sends heartbeats: silence means that it is gone. */
  beats: boolean
}

/** An instance and the tokens of a prompt that it holds, from the first one on. */
export interface Holding {
  readonly instance: Instance
  readonly tokens: number
}

export class Holdings {
  readonly #instances = new Map<string, Instance>()
  /** Instances by chunk, each with the places (`worker/location`) where it has it. */
  readonly #chunks = new Map<bigint, Map<Instance, Set<string>>>()
  readonly #limit: number

  constructor(limit = MOST_KEYS) {
    this.#limit = limit
  }

  /** Whether there is anything to be asked for. */
  get isEmpty(): boolean {
    return this.#chunks.size === 0
  }

  get instances(): readonly Instance[] {
    return [...this.#instances.values()]
  }

  /** Takes over what a worker tells at `at` (epoch ms). */
  take(message: LmcacheMessage, at: number): void {
    if (message.kind === 'lookup') return
    if (message.kind === 'leave') {
      this.#leave(message.instance, message.worker)
      return
    }
    const instance = this.#instance(message.instance)
    instance.workers.set(message.worker, at)
    if (message.kind === 'heartbeat') instance.beats = true
    if (message.kind !== 'changes') {
      instance.ip = message.ip
      return
    }
    const place = `${message.worker}/${message.location}`
    for (const { key, isAdmitted } of message.changes)
      if (isAdmitted) this.#admit(key, instance, place)
      else this.#evict(key, instance, place)
  }

  /** Forgets workers that sent heartbeats and do so no more, `patience` ms long. */
  expire(at: number, patience: number): void {
    for (const { name, workers, beats } of this.#instances.values())
      for (const [worker, heardAt] of workers) if (beats && at - heardAt > patience) this.#leave(name, worker)
  }

  /** Who holds most of a prompt, from its first chunk on without a gap; empty: nobody holds that. */
  longest(chunks: Iterable<Chunk>): readonly Holding[] {
    let holders: readonly Instance[] | null = null
    let tokens = 0
    for (const { keys, end } of chunks) {
      const here = new Set(keys.flatMap((key) => [...(this.#chunks.get(key)?.keys() ?? [])]))
      const left: Instance[] = holders === null ? [...here] : holders.filter((one) => here.has(one))
      if (left.length === 0) break
      holders = left
      tokens = end
    }
    return (holders ?? []).map((instance) => ({ instance, tokens }))
  }

  /** Of chunks in a row, how many from the first on an instance other than `but` has, and where. */
  inRow(
    keys: readonly bigint[],
    but: string,
  ): { instance: Instance; location: string; count: number } | null {
    let best: { instance: Instance; location: string; count: number } | null = null
    for (const [instance, places] of this.#chunks.get(keys[0] ?? 0n) ?? []) {
      if (instance.name === but) continue
      const gap = keys.findIndex((key) => !this.#chunks.get(key)?.has(instance))
      const count = gap < 0 ? keys.length : gap
      const [place = ''] = places
      if (best === null || count > best.count)
        best = { instance, location: place.slice(place.indexOf('/') + 1), count }
    }
    return best
  }

  #instance(name: string): Instance {
    let instance = this.#instances.get(name)
    if (!instance) this.#instances.set(name, (instance = { name, ip: '', workers: new Map(), beats: false }))
    return instance
  }

  #leave(name: string, worker: number): void {
    const instance = this.#instances.get(name)
    if (!instance?.workers.delete(worker)) return
    for (const [key, holders] of this.#chunks) {
      for (const place of holders.get(instance) ?? [])
        if (place.startsWith(`${worker}/`)) this.#evict(key, instance, place)
    }
    if (instance.workers.size === 0) this.#instances.delete(name)
  }

  #admit(key: bigint, instance: Instance, place: string): void {
    let holders = this.#chunks.get(key)
    if (!holders) {
      this.#chunks.set(key, (holders = new Map()))
      if (this.#chunks.size > this.#limit) this.#chunks.delete(this.#chunks.keys().next().value as bigint)
    }
    const places = holders.get(instance)
    if (places) places.add(place)
    else holders.set(instance, new Set([place]))
  }

  #evict(key: bigint, instance: Instance, place: string): void {
    const holders = this.#chunks.get(key)
    const places = holders?.get(instance)
    if (!holders || !places?.delete(place) || places.size > 0) return
    holders.delete(instance)
    if (holders.size === 0) this.#chunks.delete(key)
  }
}
