// Which worker had which beginning of a prompt: a trie over characters, bounded by forgetting its older half.

class Place {
  readonly children = new Map<string, Place>()
  /** Ids of the workers that had it, the first one first. */
  readonly workers: string[] = []
}

/** Characters that one half remembers. */
const MOST_PLACES = 50_000

export class Beginnings {
  #young = new Place()
  #old = new Place()
  #places = 0

  /** The worker that has had the longest part of a text, of those that `isHere` accepts, and how many characters that are. */
  find(
    text: string,
    isHere: (worker: string) => boolean,
  ): { readonly worker: string; readonly depth: number } | null {
    const [young, old] = [deepest(this.#young, text, isHere), deepest(this.#old, text, isHere)]
    return (old?.depth ?? 0) > (young?.depth ?? 0) ? old : young
  }

  /** A worker has a text from now on. */
  add(text: string, worker: string): void {
    if (this.#places > MOST_PLACES) {
      this.#old = this.#young
      this.#young = new Place()
      this.#places = 0
    }
    let place = this.#young
    for (const character of text) {
      let next = place.children.get(character)
      if (!next) {
        place.children.set(character, (next = new Place()))
        this.#places++
      }
      place = next
      if (!place.workers.includes(worker)) place.workers.push(worker)
    }
  }
}

function deepest(root: Place, text: string, isHere: (worker: string) => boolean) {
  let best: { worker: string; depth: number } | null = null
  let depth = 0
  let place: Place | undefined = root
  for (const character of text) {
    place = place.children.get(character)
    if (!place) break
    depth++
    const worker = place.workers.find(isHere)
    if (worker !== undefined) best = { worker, depth }
  }
  return best
}
