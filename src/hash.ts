// Small non-cryptographic hashes. cyrb53 (bryc, public domain): 53 bits from two 32-bit lanes, good avalanche, no BigInt.

/** 53-bit hash of a text; the same on every runtime. */
export function hashText(text: string, seed = 0): number {
  let h1 = 0xdeadbeef ^ seed
  let h2 = 0x41c6ce57 ^ seed
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    h1 = Math.imul(h1 ^ code, 2654435761)
    h2 = Math.imul(h2 ^ code, 1597334677)
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909)
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909)
  return 4294967296 * (2097151 & h2) + (h1 >>> 0)
}

/** Rendezvous score of a key on a node, 0 < score < 1: the node with the highest one owns the key (Thaler & Ravishankar 1998). */
export function rendezvousScore(key: string, node: string): number {
  return rendezvousScoreOf(hashText(key), node)
}

/** The same, of a key that was hashed before: for many nodes in a row. */
export function rendezvousScoreOf(keyHash: number, node: string): number {
  return (hashText(node, keyHash | 0) + 0.5) / 2 ** 53
}

/** An opaque, stable id: a prefix and ten base-36 digits. */
export function opaqueId(prefix: string, text: string): string {
  return `${prefix}-${hashText(text).toString(36).padStart(11, '0').slice(-10)}`
}
