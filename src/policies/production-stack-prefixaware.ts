// Among the longest matches, as in production-stack.
import type { Config } from '../config/schema.ts'
import { ChunkTrie } from './chunk-trie.ts'
import { leastBy } from './least-by.ts'
import { leastLoaded } from './least-load.ts'
import { OwnTree } from './own-tree.ts'
import type { Candidate, Choose, Policy, PoolSense } from './policy.ts'

/** Characters of a chunk. */
const CHUNK = 128

/**
 * production-stack's prefixaware: among those that were sent the longest match; below `prefixMinMatch` characters by load, by calls
 * in flight and not by calls a second. There chance decides among equals, and where nothing matches (`strictCompat`), and nothing is
 * ever forgotten; here load does, and the older half is. In its dialect prompts come cut as there; else blocks of 256 bytes and more
 * stand for the chunks.
 */
function make(config: Config): Choose {
  const trie = new ChunkTrie(config.treeSize / CHUNK)
  const native = makeNative(config)
  return (ask, candidates, sense) => {
    const { chunks } = ask
    if (chunks === undefined) return native(ask, candidates, sense)
    const ids = candidates.map(({ id }) => id)
    const { workers, depth } = trie.find(chunks, ids)
    const isMatch = depth * CHUNK >= config.prefixMinMatch
    const among = isMatch ? workers : ids
    const index = config.strictCompat && isMatch ? byChance(among, ids, sense) : byLoad(among, candidates)
    if (sense.isDry !== true) trie.add(chunks, ids[index] as string)
    return index
  }
}

const byChance = (among: readonly string[], ids: readonly string[], sense: PoolSense): number =>
  ids.indexOf(among[Math.floor(sense.random() * among.length)] as string)

function byLoad(among: readonly string[], candidates: readonly Candidate[]): number {
  const left = candidates.filter(({ id }) => among.includes(id))
  return candidates.indexOf(left[leastLoaded(left)] as Candidate)
}

function makeNative(config: Config): Choose {
  const tree = new OwnTree(config.treeSize)
  return (ask, candidates, sense) => {
    tree.look(ask.prefix)
    let longest = 0
    for (const { id } of candidates) longest = Math.max(longest, tree.matched(id))
    const index =
      longest < config.prefixMinMatch
        ? leastLoaded(candidates)
        : leastBy(candidates, sense, ({ id }) => longest - tree.matched(id))
    if (sense.isDry !== true) tree.sent(ask.prefix, candidates, index, sense.now)
    return index
  }
}

export const productionStackPrefixaware: Policy = {
  name: 'production_stack_prefixaware',
  needsPrefix: true,
  make,
}
