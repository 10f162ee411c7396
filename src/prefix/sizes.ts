// How a prompt's bytes are cut into blocks: finely at first, where prompts are shared most, coarsely after that.

/** Bytes that are hashed at a time; a block is a number of them. */
export const STRIPE = 64

const FINE_BYTES = 256
const COARSE_BYTES = 1024
/** Blocks of the finer size. */
export const FINE_BLOCKS = 64
/** Where the coarse blocks begin: 16 KiB. */
const FINE_END = FINE_BLOCKS * FINE_BYTES

/** The most blocks that are hashed of one prompt. */
export const MAX_BLOCKS = 512
/** The canonical bytes that those blocks cover; what follows is not looked at. */
export const MAX_BYTES = bytesAt(MAX_BLOCKS)
/**
 * The canonical bytes that an image, a sound or a file counts as: about 512 tokens of text, which is what engines make of a
 * picture of middling size. Its own bytes say nothing about that.
 */
export const MEDIA_BYTES = 2048

/** Canonical bytes in the first `depth` blocks. */
export function bytesAt(depth: number): number {
  return depth <= FINE_BLOCKS ? depth * FINE_BYTES : FINE_END + (depth - FINE_BLOCKS) * COARSE_BYTES
}

/** Whole blocks in a prompt of so many canonical bytes, at most `MAX_BLOCKS`. */
export function blocksIn(bytes: number): number {
  if (bytes <= FINE_END) return Math.floor(bytes / FINE_BYTES)
  return Math.min(MAX_BLOCKS, FINE_BLOCKS + Math.floor((bytes - FINE_END) / COARSE_BYTES))
}

/** Where media begin in the canonical bytes: hashes are made of a stripe at a time. */
export function alignUp(bytes: number): number {
  return Math.ceil(bytes / STRIPE) * STRIPE
}

/** What a tree may take where memory is a server's, and where the whole process has 128 MB. */
export const TREE_BYTES = 256 * 2 ** 20
export const SMALL_TREE_BYTES = 48 * 2 ** 20
