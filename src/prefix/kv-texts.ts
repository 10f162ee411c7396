// Between the engines' blocks of tokens and the view's blocks of text: once a prompt's chain of blocks is known, whatever happens
// to the blocks happens to the text.
import { anchor, isHeld, unanchor, type Anchors, type Block, type Holding } from './kv-blocks.ts'
import { bytesAt } from './sizes.ts'

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

/** The last block of the chain up to `leaf` that lies within so many tokens; null: none, or its beginning is not known. */
export function promptEnd(leaf: Block, tokens: number): Block | null {
  let block: Block | null = leaf
  while (block !== null && block.end > tokens) block = block.parent
  return block !== null && block.end > 0 ? block : null
}

/**
 * A text is the prompt that the chain up to `last` was computed from: anchors each block of text at the block of tokens in which it
 * ends, and puts the view right about how much of it the worker has. Where a block of text ends is known from another prompt that
 * begins alike; behind that, bytes and tokens are taken to go evenly with each other, with one token of slack for rounding.
 */
export function attribute(
  view: TextView,
  caches: Caches,
  text: Text,
  on: { last: Block; anchors: Anchors },
): void {
  const { path, bytes, tokens } = text
  const chain = chainOf(on.last)
  const gone = chain.findIndex((block) => !isHeld(caches.holdings, block))
  const whole = gone < 0 ? chain.length : gone
  let known = { bytes: 0, tokens: 0 }
  let at = 0
  let held = 0
  for (let depth = 1; depth <= path.length; depth++) {
    const place = placeOf(on.anchors, path[depth - 1]!, chain)
    if (place >= 0) {
      at = Math.max(at, place)
      known = { bytes: bytesAt(depth), tokens: chain[at]!.end }
    } else {
      const share = (bytesAt(depth) - known.bytes) / (bytes - known.bytes)
      const end = known.tokens + share * (tokens - known.tokens)
      while (at < chain.length && chain[at]!.end + 1 < end) at++
      if (at === chain.length) break
      anchor(on.anchors, chain[at]!, path, depth)
    }
    if (at < whole) held = depth
  }
  if (held > 0) view.hold(caches.workerId, path.subarray(0, held), null)
  if (held < path.length) view.forget(caches.workerId, path, held)
}

/** A worker has these blocks from now on: so it has the texts that end in them, whoever computed them first. */
export function extend(view: TextView, { workerId, holdings }: Caches, blocks: readonly Block[]): void {
  const last = blocks.findLast(({ mark }) => mark !== null)
  // Engines keep a block only behind its parent.
  if (!last || (last.parent !== null && !isHeld(holdings, last.parent))) return
  for (let mark = last.mark; mark !== null; mark = mark.next)
    view.hold(workerId, mark.path.subarray(0, mark.depth), null)
}

/** A worker has these blocks no more, and so nothing of the texts that end in them, or go on from there. */
export function cut(view: TextView, caches: Caches, blocks: readonly Block[], anchors: Anchors): void {
  const { workerId, holdings } = caches
  for (const block of blocks) {
    if (isHeld(holdings, block)) continue
    for (let mark = block.mark; mark !== null; mark = mark.next) {
      const { path, depth } = mark
      const elsewhere = anchors.get(path[depth - 1]!) ?? []
      if (!elsewhere.some((other) => other !== block && isHeld(holdings, other)))
        view.forget(workerId, path, depth - 1)
    }
  }
}

function chainOf(last: Block): Block[] {
  const chain: Block[] = []
  for (let block: Block | null = last; block !== null; block = block.parent) chain.push(block)
  return chain.reverse()
}

/**
 * Where in the chain a block of text ends, as another prompt has shown; −1: nobody knows. Two prompts that have the text in common,
 * but not the block of tokens that it was thought to end in, part within that one: then it ends in the last that they share.
 */
function placeOf(anchors: Anchors, hash: number, chain: readonly Block[]): number {
  const known = anchors.get(hash)
  if (!known) return -1
  for (const block of known) {
    const place = indexIn(chain, block)
    if (place >= 0) return place
  }
  for (const block of known) {
    let shared: Block | null = block
    let place = -1
    while (shared !== null && (place = indexIn(chain, shared)) < 0) shared = shared.parent
    if (shared === null) continue
    const mark = unanchor(anchors, block, hash)
    if (mark) anchor(anchors, shared, mark.path, mark.depth)
    return place
  }
  return -1
}

/** By bisection: a chain's ends rise. */
function indexIn(chain: readonly Block[], block: Block): number {
  let low = 0
  let high = chain.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const { end } = chain[middle]!
    if (end === block.end) return chain[middle] === block ? middle : -1
    if (end < block.end) low = middle + 1
    else high = middle - 1
  }
  return -1
}
