// A Headers look-alike over a list of raw headers: reads cost no copy, and names keep their spelling on the way out.
import { isNamed } from '../../src/forward/names.ts'
import type { HeaderList } from '../../src/host.ts'

/**
 * Behaves as `Headers`: case-insensitive, duplicates joined, lower-case names in iteration, set-cookie apart; only the order is the
 * wire's, since sorting would cost on every call. A write copies the list first, so the list given in stays as it is.
 */
export class HeaderView {
  #list: HeaderList
  #own: string[] | null = null

  constructor(list: HeaderList) {
    this.#list = list
  }

  /** Something was written: it is not what came any more. */
  get isChanged(): boolean {
    return this.#own !== null
  }

  /** All headers in wire order with their spelling. */
  get list(): HeaderList {
    return this.#list
  }

  get(name: string): string | null {
    const list = this.#list
    let found: string | null = null
    for (let i = 0; i < list.length; i += 2) {
      if (!isNamed(list[i]!, name)) continue
      found = found === null ? list[i + 1]! : `${found}, ${list[i + 1]!}`
    }
    return found
  }

  has(name: string): boolean {
    for (let i = 0; i < this.#list.length; i += 2) if (isNamed(this.#list[i]!, name)) return true
    return false
  }

  getSetCookie(): string[] {
    const cookies: string[] = []
    for (let i = 0; i < this.#list.length; i += 2) {
      if (isNamed(this.#list[i]!, 'set-cookie')) cookies.push(this.#list[i + 1]!)
    }
    return cookies
  }

  set(name: string, value: string): void {
    const own = this.#writable()
    let isSet = false
    for (let i = 0; i < own.length; i += 2) {
      if (!isNamed(own[i]!, name)) continue
      if (isSet) {
        own.splice(i, 2)
        i -= 2
      } else own[i + 1] = String(value)
      isSet = true
    }
    if (!isSet) own.push(name, String(value))
  }

  append(name: string, value: string): void {
    this.#writable().push(name, String(value))
  }

  delete(name: string): void {
    const own = this.#writable()
    for (let i = own.length - 2; i >= 0; i -= 2) if (isNamed(own[i]!, name)) own.splice(i, 2)
  }

  forEach(run: (value: string, name: string, headers: Headers) => void, self?: unknown): void {
    const list = this.#list
    if (hasDoubles(list)) {
      for (const [name, value] of this.#joined()) run.call(self, value, name, this as unknown as Headers)
      return
    }
    for (let i = 0; i < list.length; i += 2)
      run.call(self, list[i + 1]!, list[i]!.toLowerCase(), this as unknown as Headers)
  }

  entries(): IterableIterator<[string, string]> {
    return this.#joined().values()
  }

  keys(): IterableIterator<string> {
    return this.#joined()
      .map(([name]) => name)
      .values()
  }

  values(): IterableIterator<string> {
    return this.#joined()
      .map(([, value]) => value)
      .values()
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries()
  }

  #writable(): string[] {
    this.#own ??= [...this.#list]
    this.#list = this.#own
    return this.#own
  }

  #joined(): [string, string][] {
    const joined = new Map<string, string>()
    const cookies: [string, string][] = []
    for (let i = 0; i < this.#list.length; i += 2) {
      const name = this.#list[i]!.toLowerCase()
      const value = this.#list[i + 1]!
      const before = joined.get(name)
      if (name === 'set-cookie') cookies.push([name, value])
      else joined.set(name, before === undefined ? value : `${before}, ${value}`)
    }
    return [...joined, ...cookies]
  }
}

/**
 * Whether a name comes twice; where none does nothing need be joined, which takes 0.9 µs of a head of fifteen lines. One whose length
 * is new is compared with none before it; of long lists none are compared.
 */
function hasDoubles(list: HeaderList): boolean {
  if (list.length > 64) return true
  let lengths = 0
  for (let i = 0; i < list.length; i += 2) {
    const bit = 1 << list[i]!.length // modulo 32
    if ((lengths & bit) !== 0 && isAmong(list, i)) return true
    lengths |= bit
  }
  return false
}

/** Whether the name at that place stands before it, too. */
function isAmong(list: HeaderList, at: number): boolean {
  for (let i = 0; i < at; i += 2) if (isNamed(list[i]!, list[at]!)) return true
  return false
}

/** The headers of any `Headers` as a list; spelling is kept where the object knows it. */
export function listOf(headers: Headers): HeaderList {
  if (headers instanceof HeaderView) return headers.list
  const list: string[] = []
  for (const [name, value] of headers) list.push(name, value)
  return list
}
