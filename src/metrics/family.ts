// All series of one metric, found by their label values without building a key, and never more than a bound.
import type { FamilyReading, Gather, SeriesReading } from './reading.ts'
import type { Series } from './series.ts'

type Tree<S> = Map<string, Tree<S> | S>

/** Label values longer than this come from somebody who plays with us, and share the series `other`. */
const LONGEST_VALUE = 256
const OVERFLOW = 'other'

export interface FamilyShape<S extends Series> {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly make: () => S
  readonly gather: Gather
  /** Upper bounds of the buckets; empty but for histograms. */
  readonly bounds: Float64Array
  /** Most series it keeps, apart from `other`. */
  readonly limit: number
  /** Called each time that a value went to `other`. */
  readonly dropped: (name: string) => void
}

/**
 * The series of one metric. They hang in nested maps, one level a label, so that finding one allocates nothing.
 * At most four labels, because `with` names its parameters (a rest parameter would allocate).
 */
export class Family<S extends Series> {
  readonly shape: FamilyShape<S>
  #root: Tree<S> = new Map()
  #size = 0
  readonly #depth: number
  /** That of a metric without labels. */
  #only: S | undefined

  constructor(shape: FamilyShape<S>) {
    this.shape = shape
    this.#depth = Math.max(1, shape.labels.length)
    if (shape.labels.length === 0) this.#only = this.with() // shown as 0 from the start
  }

  /** The series of these label values (in the order of `labels`), made when it is new and there is room. */
  with(a = '', b = '', c = '', d = ''): S {
    return this.#only ?? this.find(a, b, c, d) ?? this.#admit([a, b, c, d].slice(0, this.#depth))
  }

  /** The series that has these label values; undefined: none has, and `with` may give the one for all that found no room. */
  find(a = '', b = '', c = '', d = ''): S | undefined {
    let node = this.#root.get(a)
    if (this.#depth > 1 && node !== undefined) node = (node as Tree<S>).get(b)
    if (this.#depth > 2 && node !== undefined) node = (node as Tree<S>).get(c)
    if (this.#depth > 3 && node !== undefined) node = (node as Tree<S>).get(d)
    return node as S | undefined
  }

  /** Drops every series; those that callers kept are no longer shown. */
  clear(): void {
    this.#root = new Map()
    this.#size = 0
    this.#only = undefined
  }

  /** Drops the series with that value of that label. */
  remove(label: string, value: string): void {
    const level = this.shape.labels.indexOf(label)
    if (level >= 0) this.#prune(this.#root, level, value)
  }

  /** All of it as plain data. */
  read(): FamilyReading {
    const { name, help, type, labels, gather, bounds } = this.shape
    const series: SeriesReading[] = []
    this.#visit(this.#root, [], series)
    return { name, help, type, labels, gather, bounds: [...bounds], series }
  }

  /** Adds what the same metric of another meter counted. */
  absorb(series: readonly SeriesReading[]): void {
    for (const { values, numbers } of series) {
      const [a, b, c, d] = values
      this.with(a, b, c, d).absorb(numbers)
    }
  }

  #visit(tree: Tree<S>, before: readonly string[], found: SeriesReading[]): void {
    for (const [value, node] of tree) {
      const values = [...before, value]
      if (values.length < this.#depth) this.#visit(node as Tree<S>, values, found)
      else found.push({ values: values.slice(0, this.shape.labels.length), numbers: (node as S).numbers() })
    }
  }

  #admit(values: string[]): S {
    const fits = values.every((value) => value.length <= LONGEST_VALUE && value.isWellFormed())
    if (fits && this.#size < this.shape.limit) return this.#insert(values)
    this.shape.dropped(this.shape.name)
    return this.#insert(values.fill(OVERFLOW))
  }

  #insert(values: readonly string[]): S {
    let tree = this.#root
    for (const value of values.slice(0, -1)) {
      let next = tree.get(value) as Tree<S> | undefined
      if (next === undefined) tree.set(value, (next = new Map()))
      tree = next
    }
    const last = values[values.length - 1] as string
    const present = tree.get(last) as S | undefined
    if (present !== undefined) return present
    const made = this.shape.make()
    tree.set(last, made)
    this.#size++
    return made
  }

  #prune(tree: Tree<S>, level: number, value: string, depth = this.#depth): void {
    if (level === 0) {
      const gone = tree.get(value)
      if (gone !== undefined) this.#size -= countLeaves(gone, depth - 1)
      tree.delete(value)
      return
    }
    for (const [key, node] of tree) {
      this.#prune(node as Tree<S>, level - 1, value, depth - 1)
      if ((node as Tree<S>).size === 0) tree.delete(key)
    }
  }
}

function countLeaves<S>(node: Tree<S> | S, levels: number): number {
  if (levels === 0) return 1
  let leaves = 0
  for (const child of (node as Tree<S>).values()) leaves += countLeaves(child, levels - 1)
  return leaves
}
