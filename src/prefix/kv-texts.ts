// Between the engines' blocks of tokens and the view's blocks of text: once a prompt's chain of blocks is known, whatever happens
// to the blocks happens to the text.
import { isHeld, type Block, type Holding, type Mark } from './kv-blocks.ts'
import { blocksIn } from './sizes.ts'

/** What the events change: a pool's view of which worker holds which text. */
export interface TextView {
  hold(workerId: string, path: Float64Array, now: null): void
  /** It has no more than `depth` blocks of this path. */
  forget(workerId: string, path: Float64Array, depth: number): void
}

/** A worker's caches, one for each data-parallel rank. */
export interface Caches {
  readonly workerId: string
  readonly holdings: readonly Holding[]
}

/** A prompt whose length is known both ways. */
export interface Text {
  readonly path: Float64Array
  /** Canonical bytes of the prompt. */
  readonly bytes: number
  readonly tokens: number
}

/** Different texts may make the same tokens (blanks, escapes); of so many each block remembers. */
const MOST_MARKS = 8

/** The last block of the chain up to `leaf` that lies within so many tokens; null: none, or its beginning is not known. */
export function promptEnd(leaf: Block, tokens: number): Block | null {
  let block: Block | null = leaf
  while (block !== null && block.end > tokens) block = block.parent
  return block !== null && block.end > 0 ? block : null
}

/**
 * A text is the prompt that the chain up to `last` was computed from: marks the blocks with it, and puts the view right about how
 * much of it the worker has. Bytes and tokens go evenly with each other; one token of slack is for rounding.
 */
export function attribute(view: TextView, caches: Caches, text: Text, last: Block): void {
  const { path, bytes, tokens } = text
  const chain: Block[] = []
  for (let block: Block | null = last; block !== null; block = block.parent) chain.push(block)
  chain.reverse()
  const bytesPerToken = bytes / tokens
  let from = 0
  let held = 0
  let isWhole = true
  for (const block of chain) {
    const upTo = Math.min(path.length, blocksIn((block.end + 1) * bytesPerToken))
    if (from < path.length) addMark(block, path, from, upTo)
    isWhole &&= isHeld(caches.holdings, block)
    if (isWhole) held = upTo
    from = upTo
  }
  if (held > 0) view.hold(caches.workerId, path.subarray(0, held), null)
  if (held < path.length) view.forget(caches.workerId, path, held)
}

/** A worker has these blocks from now on: so it has the texts that end in them, whoever computed them first. */
export function extend(view: TextView, { workerId, holdings }: Caches, blocks: readonly Block[]): void {
  const last = blocks.findLast(({ mark }) => mark !== null)
  // Engines keep a block only behind its parent.
  if (!last || (last.parent !== null && !isHeld(holdings, last.parent))) return
  for (const { path, upTo } of marksOf(last)) if (upTo > 0) view.hold(workerId, path.subarray(0, upTo), null)
}

/** A worker has these blocks no more, and so nothing of the texts behind them. */
export function cut(view: TextView, { workerId, holdings }: Caches, blocks: readonly Block[]): void {
  for (const block of blocks) {
    if (isHeld(holdings, block)) continue
    const goesOn = block.parent !== null && isHeld(holdings, block.parent)
    for (const { path, from } of marksOf(block)) {
      if (from === 0 || !goesOn) {
        view.forget(workerId, path, from)
        continue
      }
      // Other texts may go on differently within the same block of tokens: all that is behind its beginning goes.
      view.forget(workerId, path, from - 1)
      view.hold(workerId, path.subarray(0, from), null)
    }
  }
}

function addMark(block: Block, path: Float64Array, from: number, upTo: number): void {
  const key = keyOf(path, upTo)
  const newest = block.mark
  // Most often: a conversation that goes on walks the same blocks again.
  if (newest?.upTo === upTo && newest.from === from && keyOf(newest.path, upTo) === key) return
  const others: Mark[] = []
  for (const mark of marksOf(block)) {
    const isSame = keyOf(mark.path, mark.upTo) === key && mark.upTo === upTo
    if (isSame && mark.from === from) return
    if (!isSame && others.length < MOST_MARKS - 1) others.push(mark)
  }
  let next: Mark | null = null
  for (const mark of others.reverse()) next = { ...mark, next }
  block.mark = { path, from, upTo, next }
}

/** The newest first. */
function* marksOf(block: Block): Generator<Mark> {
  for (let mark = block.mark; mark !== null; mark = mark.next) yield mark
}

/** Hashes are chained: one of them stands for all the text before it. */
const keyOf = (path: Float64Array, upTo: number): number => path[Math.max(0, upTo - 1)]!
