// One pool as several: each decides for conversations of its own among all workers, and tells the others what it has there.
import { hashText } from '../hash.ts'
import type { ActorRef } from './actor.ts'
import type { Ask } from './ask.ts'
import type { Neighbour } from './exchange.ts'
import type { Pool } from './pool.ts'

const NAME = 'main-'
/** The block by which prompts without a session are told apart, where nobody said what their conversation is: the end of 2 KiB. */
const BLOCK = 7

/** The name of the actor that is a shard. */
export const shardName = (index: number): string => NAME + index

/** The number of the shard of that name; 0 where it is none. */
const shardNumber = (name: string): number => {
  const at = name.lastIndexOf(NAME)
  return at < 0 ? 0 : Number(name.slice(at + NAME.length))
}

/** Whether the shard of that name looks after the worker at a URL: one probes it and tells the others. */
export const isLookedAfterBy = (name: string, count: number, url: string): boolean =>
  count < 2 || hashText(url) % count === shardNumber(name)

/**
 * The shard that decides an ask. All turns of a conversation come to one, for it alone knows where their prompts went; a system
 * prompt that many conversations share must not bring them all to one.
 */
export function shardOf(
  { id, session, conversation, prefix }: Pick<Ask, 'id' | 'session' | 'conversation' | 'prefix'>,
  count: number,
): number {
  if (count < 2) return 0
  if (session !== null) return hashText(session) % count
  if (conversation !== undefined) return conversation % count
  return prefix === null
    ? hashText(id) % count
    : (prefix[Math.min(BLOCK, prefix.length - 1)] as number) % count
}

/** The other shards, seen from the one of that name. */
export function shardsBeside(name: string, count: number, pool: ActorRef<Pool>): Neighbour[] {
  const others = Array.from({ length: count }, (_, index) => index)
  return others
    .filter((index) => count > 1 && index !== shardNumber(name))
    .map((index) => ({ hear: (digest) => pool(shardName(index)).hear(digest), sharesPrompts: false }))
}
