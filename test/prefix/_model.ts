// The tree's rules told the slow way: every worker has a map from beginnings of paths to nothing, in the order of last use.
import { bytesAt } from '../../src/prefix/sizes.ts'

interface Cache {
  readonly blocks: Map<string, number>
  capacity: number
  used: number
}

const keyOf = (path: Float64Array, depth: number) => path.subarray(0, depth).join()
const bytesOf = (depth: number) => bytesAt(depth) - bytesAt(depth - 1)

export class Model {
  readonly caches = new Map<number, Cache>()

  add(worker: number, capacity: number): void {
    this.caches.set(worker, { blocks: new Map(), capacity, used: 0 })
  }

  remove(worker: number): void {
    this.caches.delete(worker)
  }

  clear(worker: number): void {
    this.add(worker, this.caches.get(worker)!.capacity)
  }

  resize(worker: number, capacity: number): void {
    const cache = this.caches.get(worker)!
    cache.capacity = capacity
    this.#shrink(cache)
  }

  insert(path: Float64Array, worker: number): void {
    const cache = this.caches.get(worker)!
    for (let depth = path.length; depth > 0; depth--) {
      const key = keyOf(path, depth)
      if (!cache.blocks.delete(key)) cache.used += bytesOf(depth)
      cache.blocks.set(key, depth)
    }
    this.#shrink(cache)
  }

  depth(path: Float64Array, worker: number): number {
    const blocks = this.caches.get(worker)?.blocks
    let depth = 0
    while (depth < path.length && blocks?.has(keyOf(path, depth + 1))) depth++
    return depth
  }

  truncate(path: Float64Array, worker: number, depth: number): void {
    const cache = this.caches.get(worker)!
    const gone = keyOf(path, depth + 1)
    if (path.length <= depth) return
    for (const [key, length] of cache.blocks) {
      if (key !== gone && !key.startsWith(`${gone},`)) continue
      cache.blocks.delete(key)
      cache.used -= bytesOf(length)
    }
  }

  #shrink(cache: Cache): void {
    for (const [key, depth] of cache.blocks) {
      if (cache.used <= cache.capacity) return
      cache.blocks.delete(key)
      cache.used -= bytesOf(depth)
    }
  }
}
