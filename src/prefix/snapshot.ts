// The newest part of a tree as flat arrays that can be stored, and the paths of such arrays again.
import type { Tree } from './tree.ts'

/** What workers hold, the newest first, as much as fitted. Structured-cloneable. */
export interface TreeSnapshot {
  /**
   * Four numbers for each path: the worker; the path before it in this list that it begins like (-1: none); how many blocks
   * of that it shares; how many are its own.
   */
  readonly rows: Int32Array
  /** The own blocks of all paths, one path after the other. */
  readonly blocks: Float64Array
}

const FIELDS = 4
const ROW_BYTES = FIELDS * 4
const BLOCK_BYTES = 8

/** How much of a node is told already, and by which row. */
interface Told {
  readonly row: number
  readonly blocks: number
}

class Draft {
  readonly rows: number[] = []
  readonly blocks: number[] = []
  readonly #tree: Tree
  readonly #told = new Map<number, Told>()

  constructor(tree: Tree) {
    this.#tree = tree
  }

  get bytes(): number {
    return (this.rows.length / FIELDS) * ROW_BYTES + this.blocks.length * BLOCK_BYTES
  }

  /** Tells a holding: its path from the deepest node that was told before. False when that would be more than `limit` bytes. */
  tell(holding: number, limit: number): boolean {
    const { nodes, holdings } = this.#tree
    const own: { node: number; from: number; to: number }[] = []
    let from = -1
    let shared = 0
    let count = 0
    let to = holdings.blocks(holding)
    for (let node = holdings.node(holding); node !== 0 && from < 0; node = nodes.parent(node)) {
      const told = this.#told.get(node)
      const known = Math.min(told?.blocks ?? 0, to)
      if (told && known > 0) {
        from = told.row
        shared = nodes.depth(node) + known
      }
      if (known < to) own.push({ node, from: known, to })
      count += to - known
      to = nodes.fill(nodes.parent(node))
    }
    if (this.bytes + ROW_BYTES + count * BLOCK_BYTES > limit) return false
    const row = this.rows.length / FIELDS
    this.rows.push(holdings.worker(holding), from, shared, count)
    for (const part of own.toReversed()) {
      for (let at = part.from; at < part.to; at++) this.blocks.push(nodes.block(part.node, at))
      this.#told.set(part.node, { row, blocks: part.to })
    }
    return true
  }
}

/**
 * Copies what was used last, over all workers, into at most `limit` bytes of arrays.
 * @param tick the tree's newest: ages are counted from it
 */
export function takeSnapshot(tree: Tree, tick: number, limit: number): TreeSnapshot {
  const { holdings, holders } = tree
  const draft = new Draft(tree)
  const heads = holders.map((holder) => holder?.newest ?? 0)
  const age = (holding: number) => (tick - holdings.tick(holding)) >>> 0
  for (;;) {
    let newest = -1
    heads.forEach((head, worker) => {
      if (head !== 0 && (newest < 0 || age(head) < age(heads[newest]!))) newest = worker
    })
    if (newest < 0) break
    const head = heads[newest]!
    const older = holdings.older(head)
    heads[newest] = older
    // The same use went on into a child, which tells this one, too.
    const isBegun =
      older !== 0 && holdings.tick(older) === holdings.tick(head) && holdings.parent(older) === head
    if (!isBegun && !draft.tell(head, limit)) break
  }
  return { rows: Int32Array.from(draft.rows), blocks: Float64Array.from(draft.blocks) }
}

/** The paths of a snapshot with their workers, the oldest first, as they are to be inserted. Nothing of one that is no snapshot. */
export function pathsOf({
  rows,
  blocks,
}: TreeSnapshot): { readonly worker: number; readonly path: Float64Array }[] {
  const paths: { worker: number; path: Float64Array }[] = []
  let at = 0
  for (let row = 0; row + FIELDS <= rows.length; row += FIELDS) {
    const [worker = 0, from = -1, shared = 0, count = 0] = rows.subarray(row, row + FIELDS)
    const before = from < 0 ? undefined : paths[from]?.path
    if (at + count > blocks.length || shared > (before?.length ?? 0)) return []
    const path = new Float64Array(shared + count)
    if (before) path.set(before.subarray(0, shared))
    path.set(blocks.subarray(at, at + count), shared)
    at += count
    paths.push({ worker, path })
  }
  return paths.reverse()
}
