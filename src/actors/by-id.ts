// Things by their ids that come and go all the time, kept so that the collector gets rid of those that went.

/**
 * What a Map is for, in no order. A Map is made anew for every few things that come and go, and once one has become old, so are all
 * that follow, with what is left in them: 110 bytes a call that only a full collection takes back. So nothing is made here for what
 * comes, and ids are told apart by how they end: ours count up.
 */
export class ById<T extends { readonly id: string }> {
  readonly #things: (T | undefined)[] = []
  /** Places of those that went. */
  readonly #free: number[] = []
  /** How many ends are told apart, a power of two; there are no more places than that. */
  #room = 64
  /** By end, then by place: the next place of that end, plus one; 0: there is none. */
  #links = new Int32Array(2 * this.#room)

  get size(): number {
    return this.#things.length - this.#free.length
  }

  get(id: string): T | undefined {
    const place = this.#placeOf(id)
    return place < 0 ? undefined : this.#things[place]
  }

  /** The one that has a place. */
  at(place: number): T | undefined {
    return this.#things[place]
  }

  has(id: string): boolean {
    return this.#placeOf(id) >= 0
  }

  /** Adds it, in place of what had its id. */
  add(thing: T): void {
    const place = this.#placeOf(thing.id)
    if (place < 0) this.join(thing)
    else this.#things[place] = thing
  }

  /** The same, where nothing has its id. Returns its place, which it has until it goes. */
  join(thing: T): number {
    if (this.size === this.#room) this.#grow()
    const place = this.#free.pop() ?? this.#things.length
    this.#things[place] = thing
    this.#link(thing.id, place)
    return place
  }

  /** Takes it out; undefined: it is not there. */
  take(id: string): T | undefined {
    const place = this.#placeOf(id)
    if (place < 0) return undefined
    const taken = this.#things[place]
    const links = this.#links
    let at = this.#endOf(id)
    while (links[at] !== place + 1) at = this.#room + (links[at] as number) - 1
    links[at] = links[this.#room + place] as number
    this.#things[place] = undefined
    this.#free.push(place)
    return taken
  }

  /** All of them, as they are now: they may go meanwhile. */
  values(): T[] {
    return this.#things.filter((thing) => thing !== undefined)
  }

  /** Below 0: it is not there. */
  #placeOf(id: string): number {
    const links = this.#links
    let place = (links[this.#endOf(id)] as number) - 1
    while (place >= 0 && this.#things[place]?.id !== id) place = (links[this.#room + place] as number) - 1
    return place
  }

  #link(id: string, place: number): void {
    const end = this.#endOf(id)
    this.#links[this.#room + place] = this.#links[end] as number
    this.#links[end] = place + 1
  }

  /** Only when every place is taken. */
  #grow(): void {
    this.#room *= 2
    this.#links = new Int32Array(2 * this.#room)
    this.values().forEach(({ id }, place) => this.#link(id, place))
  }

  /** The last characters of an id as a number. */
  #endOf(id: string): number {
    let end = 0
    for (let at = Math.max(0, id.length - 4); at < id.length; at++) end = end * 31 + id.charCodeAt(at)
    return end & (this.#room - 1)
  }
}
