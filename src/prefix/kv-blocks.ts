// Which blocks of KV cache exist on which worker, by the engines' own hashes: chains, and how often each holder has each block.
import { GPU, type BlocksRemoved, type BlocksStored } from './kv-batch.ts'

/** A block of text that ends in a block of tokens. */
export interface Mark {
  /** Block hashes of a prompt's text, and which of them ends there, counted from 1. */
  readonly path: Float64Array
  readonly depth: number
  /** Another of the same block. */
  next: Mark | null
}

/** The blocks of tokens that a block of text ends in, by its hash: one, but where prompts of that beginning share none. */
export type Anchors = Map<number, Block[]>

/** One block of tokens, whoever holds it. Blocks that nobody holds are forgotten. */
export interface Block {
  readonly hash: bigint
  /** The block before it; null: a prompt begins here, or it is not known. */
  parent: Block | null
  /** Tokens from the prompt's beginning to its end; −1: what is before it is not known. */
  end: number
  /** Holders. */
  holders: number
  /** The first of the blocks of text that end in it. */
  mark: Mark | null
}

/** What a block takes here, bytes: measured (bench/micro/kv-events.ts), with the text that it belongs to. */
export const BLOCK_BYTES = 240

/** What one cache (a rank of a worker) holds. */
export class Holding {
  /** How many copies of each block: the same tokens may lie in several places. */
  readonly copies = new Map<Block, number>()
  /** Copies in other media (host memory, disks), which cost time to come back from. */
  readonly elsewhere = new Map<string, number>()
  /** Copies of all blocks together. */
  total = 0
  /** The group of layers whose blocks count; null until one is seen. */
  group: number | null = null
  /** The engine tells of blocks again that it told of before: then a second copy is none. */
  isRepeating = false
}

/** All blocks of a pool. Hashes depend on all tokens before them, so that what workers hold can be compared. */
export class KvBlocks {
  readonly #blocks = new Map<bigint, Block>()
  readonly anchors: Anchors = new Map()

  get size(): number {
    return this.#blocks.size
  }

  find(hash: bigint): Block | null {
    return this.#blocks.get(hash) ?? null
  }

  /** Notes new blocks and returns them in order; none when they are of no interest here (another medium, other layers). */
  store(holding: Holding, event: BlocksStored): Block[] {
    if (!counts(holding, event)) return []
    const made: Block[] = []
    let parent = event.parent === null ? null : this.find(event.parent)
    let isRooted = event.parent === null || (parent !== null && parent.end >= 0)
    for (const [i, hash] of event.hashes.entries()) {
      const tokens = Math.max(1, Math.min(event.blockTokens, event.tokens - i * event.blockTokens))
      let block = this.#blocks.get(hash)
      if (!block) {
        block = { hash, parent, end: -1, holders: 0, mark: null }
        this.#blocks.set(hash, block)
      }
      // Of one that is known its beginning may have become so just now.
      if (block.end < 0 && isRooted) {
        block.parent = parent
        block.end = (parent?.end ?? 0) + tokens
      }
      this.#add(holding, block)
      made.push(block)
      parent = block
      isRooted = block.end >= 0
    }
    return made
  }

  /** Takes one copy of each away and returns the blocks that the holder has no more of. */
  remove(holding: Holding, event: BlocksRemoved): Block[] {
    if (!counts(holding, event)) return []
    const gone: Block[] = []
    for (const hash of event.hashes) {
      const block = this.#blocks.get(hash)
      const copies = block && holding.copies.get(block)
      if (!block || !copies) continue
      holding.total--
      if (copies > 1 && !holding.isRepeating) holding.copies.set(block, copies - 1)
      else {
        this.#drop(holding, block)
        gone.push(block)
      }
    }
    return gone
  }

  /** Notes blocks in another medium, which are copies of some that are known (events tell nothing of their beginnings); returns those. */
  shelve(holding: Holding, hashes: readonly bigint[]): Block[] {
    const known = hashes.map((hash) => this.find(hash)).filter((block) => block !== null)
    for (const block of known) this.#add(holding, block)
    return known
  }

  /** Takes them away there, and returns those that were. */
  unshelve(holding: Holding, hashes: readonly bigint[]): Block[] {
    const gone = hashes.flatMap((hash) => {
      const block = this.find(hash)
      return block && holding.copies.has(block) ? [block] : []
    })
    for (const block of gone) {
      holding.total--
      this.#drop(holding, block)
    }
    return gone
  }

  /** Forgets all that a holder has. */
  clear(holding: Holding): void {
    for (const block of holding.copies.keys()) this.#release(block)
    holding.copies.clear()
    holding.elsewhere.clear()
    holding.total = 0
  }

  /** From now on one copy is all that the holder can have of a block. */
  countOnce(holding: Holding): void {
    holding.isRepeating = true
    for (const block of holding.copies.keys()) holding.copies.set(block, 1)
    holding.total = holding.copies.size
  }

  #add(holding: Holding, block: Block): void {
    const copies = holding.copies.get(block) ?? 0
    if (copies > 0 && holding.isRepeating) return
    if (copies === 0) block.holders++
    holding.copies.set(block, copies + 1)
    holding.total++
  }

  #drop(holding: Holding, block: Block): void {
    holding.copies.delete(block)
    this.#release(block)
  }

  #release(block: Block): void {
    block.holders--
    if (block.holders > 0) return
    this.#blocks.delete(block.hash)
    for (let mark = block.mark; mark !== null; mark = mark.next) leave(this.anchors, mark, block)
  }
}

/** Whether an event is of the layers and the medium that prompts are computed from; counts it where it is of another medium. */
function counts(holding: Holding, event: BlocksStored | BlocksRemoved): boolean {
  const { medium, group } = event
  if (event.kind === 'stored' && !event.isFull) return false
  if (medium !== GPU) {
    const change = event.kind === 'stored' ? event.hashes.length : -event.hashes.length
    holding.elsewhere.set(medium, Math.max(0, (holding.elsewhere.get(medium) ?? 0) + change))
    return false
  }
  if (group === null) return true
  // All groups with full attention hold the same tokens: one of them tells it all.
  if (event.kind === 'stored') holding.group ??= group
  return group === holding.group
}

/** Whether any of a worker's caches has a block. */
export function isHeld(holdings: readonly Holding[], block: Block): boolean {
  for (const { copies } of holdings) if (copies.has(block)) return true
  return false
}

/** Of more than so many the first is forgotten. */
const MOST_ANCHORS = 8

/** From now on that block of text is known to end in the block. */
export function anchor(anchors: Anchors, block: Block, path: Float64Array, depth: number): void {
  const hash = path[depth - 1]!
  const blocks = anchors.get(hash)
  if (blocks?.includes(block)) return
  block.mark = { path, depth, next: block.mark }
  if (!blocks) anchors.set(hash, [block])
  else if (blocks.push(block) > MOST_ANCHORS) unanchor(anchors, blocks[0]!, hash)
}

/** That block of text does not end in the block after all. Returns what was known of it there. */
export function unanchor(anchors: Anchors, block: Block, hash: number): Mark | null {
  let before: Mark | null = null
  for (let mark = block.mark; mark !== null; mark = mark.next) {
    if (mark.path[mark.depth - 1] === hash) {
      if (before === null) block.mark = mark.next
      else before.next = mark.next
      leave(anchors, mark, block)
      return mark
    }
    before = mark
  }
  return null
}

function leave(anchors: Anchors, { path, depth }: Mark, block: Block): void {
  const hash = path[depth - 1]!
  const blocks = anchors.get(hash) ?? []
  const at = blocks.indexOf(block)
  if (at >= 0) blocks.splice(at, 1)
  if (blocks.length === 0) anchors.delete(hash)
}
