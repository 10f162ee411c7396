// Nodes and holdings kept in step: following a path, laying it, splitting nodes, and taking holdings out again.
import { Holdings, type Holder } from './holdings.ts'
import { NODE_BLOCKS, Nodes } from './nodes.ts'
import { bytesAt } from './sizes.ts'

const NODES_AT_FIRST = 256
const HOLDINGS_AT_FIRST = 512

/**
 * The tree without its bounds: `RadixTree` sees that there is room before anything is made, and that workers stay within their
 * capacity. Three things hold between any two calls: who holds a node holds all of the nodes above it; a node has a holding;
 * a worker's holding is newer than those under it.
 */
export class Tree {
  readonly nodes = new Nodes(NODES_AT_FIRST)
  readonly holdings = new Holdings(HOLDINGS_AT_FIRST)
  readonly holders: (Holder | null)[] = []
  // Where the last walk ended.
  /** The deepest node. */
  node = 0
  /** How many of its blocks are the path's. */
  inside = 0
  /** Blocks of the path that were found. */
  depth = 0
  /** Nodes that they lie in. */
  steps = 0
  /** Its path, while the tree is as it was: what was looked up is inserted next, as a rule. */
  #walked: Float64Array | null = null

  holder(worker: number): Holder {
    const holder = this.holders[worker]
    if (!holder) throw new RangeError(`no worker ${worker} in the tree`)
    return holder
  }

  /** Follows the path as far as the tree has it. A path is never written to again. */
  walk(path: Float64Array): void {
    if (path === this.#walked) return
    const nodes = this.nodes
    let node = 0
    let depth = 0
    let inside = 0
    let steps = 0
    while (depth < path.length) {
      const child = nodes.find(node, path[depth]!)
      if (child === 0) break
      inside = nodes.common(child, path, depth)
      depth += inside
      node = child
      steps++
      if (inside < nodes.fill(child)) break
    }
    this.node = node
    this.inside = inside
    this.depth = depth
    this.steps = steps
    this.#walked = path
  }

  /** The worker's holding of a node, or 0. */
  find(node: number, worker: number): number {
    const holdings = this.holdings
    let at = this.nodes.first(node)
    while (at !== 0 && holdings.worker(at) !== worker) at = holdings.next(at)
    return at
  }

  /** Makes the nodes of the path behind the last walk's end, so that the worker's order of use can be told node by node. */
  lay(path: Float64Array, worker: number): number {
    this.#walked = null
    const nodes = this.nodes
    let node = this.node
    let depth = this.depth
    if (node !== 0 && this.inside < nodes.fill(node)) node = this.#part(node, depth < path.length, worker)
    if (depth === path.length) return node
    if (node !== 0 && nodes.isLeaf(node) && nodes.fill(node) < NODE_BLOCKS)
      depth += nodes.append(node, path, depth)
    while (depth < path.length) {
      node = nodes.make(node, path, depth)
      depth += nodes.fill(node)
    }
    this.inside = nodes.fill(node)
    return node
  }

  /** The path ends or turns off within a node: splits it there when somebody's blocks behind that point have to stand alone. */
  #part(node: number, turnsOff: boolean, worker: number): number {
    const holdings = this.holdings
    const inside = this.inside
    let most = 0
    for (let at = this.nodes.first(node); at !== 0; at = holdings.next(at))
      if (turnsOff || holdings.worker(at) === worker) most = Math.max(most, holdings.blocks(at))
    if (most > inside) return this.#split(node, inside)
    if (turnsOff) this.nodes.cut(node, inside)
    return node
  }

  #split(node: number, count: number): number {
    const nodes = this.nodes
    const holdings = this.holdings
    const upper = nodes.split(node, count)
    let next = 0
    for (let at = nodes.first(node); at !== 0; at = next) {
      next = holdings.next(at)
      if (holdings.blocks(at) > count) {
        const half = this.#splitHolding(at, upper, count)
        holdings.enlist(half, upper, nodes.first(upper))
        nodes.setFirst(upper, half)
      } else this.#moveHolding(at, upper)
      nodes.addHolders(upper, 1)
    }
    return upper
  }

  /** A holding that goes on behind the point stays below; its new upper half is just a little newer. */
  #splitHolding(lower: number, upper: number, count: number): number {
    const holdings = this.holdings
    const worker = holdings.worker(lower)
    const half = holdings.make(upper, worker, count)
    const parent = holdings.parent(lower)
    holdings.disown(lower)
    holdings.adopt(parent, half)
    holdings.adopt(half, lower)
    holdings.setBlocks(lower, holdings.blocks(lower) - count)
    holdings.setTick(half, holdings.tick(lower))
    holdings.rank(this.holder(worker), half, holdings.newer(lower))
    return half
  }

  #moveHolding(holding: number, upper: number): void {
    const nodes = this.nodes
    const holdings = this.holdings
    const from = holdings.node(holding)
    const next = holdings.next(holding)
    if (holdings.delist(holding)) nodes.setFirst(from, next)
    nodes.addHolders(from, -1)
    holdings.enlist(holding, upper, nodes.first(upper))
    nodes.setFirst(upper, holding)
  }

  /** The worker holds the path down to here, and used it just now: the deepest block first, so that it is forgotten first. */
  hold(node: number, worker: number, tick: number): void {
    const nodes = this.nodes
    const holdings = this.holdings
    const holder = this.holder(worker)
    let blocks = this.inside
    let orphan = 0
    let known = 0
    for (let at = node; at !== 0; at = nodes.parent(at)) {
      if (at !== node) blocks = nodes.fill(at)
      if (known === 0) known = this.find(at, worker)
      const holding = known === 0 ? this.#newHolding(at, worker) : known
      const had = known === 0 ? 0 : holdings.blocks(known)
      if (had > 0) holdings.unrank(holder, holding)
      holdings.setBlocks(holding, blocks)
      holder.used += bytesAt(nodes.depth(at) + blocks) - bytesAt(nodes.depth(at) + had)
      holdings.rank(holder, holding, 0)
      holdings.setTick(holding, tick)
      if (orphan !== 0) holdings.adopt(holding, orphan)
      orphan = known === 0 ? holding : 0
      if (known !== 0) known = holdings.parent(known)
    }
  }

  #newHolding(node: number, worker: number): number {
    const holding = this.holdings.make(node, worker, 0)
    this.holdings.enlist(holding, node, this.nodes.first(node))
    this.nodes.setFirst(node, holding)
    this.nodes.addHolders(node, 1)
    return holding
  }

  /** Leaves a holding so many blocks at most, and nothing under it when that makes it shorter. */
  cut(holding: number, blocks: number): void {
    const holdings = this.holdings
    const had = holdings.blocks(holding)
    if (had <= blocks) return
    this.#walked = null
    for (let child = holdings.child(holding); child !== 0; child = holdings.child(holding)) {
      while (holdings.child(child) !== 0) child = holdings.child(child)
      this.drop(child)
    }
    if (blocks === 0) return this.drop(holding)
    const depth = this.nodes.depth(holdings.node(holding))
    holdings.setBlocks(holding, blocks)
    this.holder(holdings.worker(holding)).used -= bytesAt(depth + had) - bytesAt(depth + blocks)
  }

  /** Takes out a holding that has none under it, and its node when it was the last. */
  drop(holding: number): void {
    this.#walked = null
    const nodes = this.nodes
    const holdings = this.holdings
    const node = holdings.node(holding)
    const holder = this.holder(holdings.worker(holding))
    const depth = nodes.depth(node)
    holder.used -= bytesAt(depth + holdings.blocks(holding)) - bytesAt(depth)
    const next = holdings.next(holding)
    if (holdings.delist(holding)) nodes.setFirst(node, next)
    holdings.disown(holding)
    holdings.unrank(holder, holding)
    holdings.free(holding)
    nodes.addHolders(node, -1)
    if (nodes.holders(node) === 0) nodes.free(node)
  }
}
