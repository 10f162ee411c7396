// What a router decides when its pool is lost: rendezvous hashing over the members that it knows, with no load to go by.
import type { Config } from '../config/schema.ts'
import { rendezvousScore } from '../hash.ts'
import type { Ask, Plan } from './ask.ts'
import type { Member } from './members.ts'
import { protocolOf } from './pairs.ts'
import { serves } from './roster.ts'

/**
 * A plan for the next attempt; null: nobody is known that could take the call. Workers that it was sent to (`tried`) come last;
 * of a pair that failed nobody knows here which one it was, so that both may be others.
 */
export function decideAlone(
  ask: Ask,
  members: readonly Member[],
  tried: readonly string[],
  config: Config,
): Plan | null {
  const how = { decision: ask.id, attempt: tried.length + 1, waited: 0, delay: 0, isDegraded: true }
  const able = members.filter((member) =>
    ask.pin === null ? serves(member, ask) && !member.draining : member.ref.id === ask.pin,
  )
  const pair = ask.pin === null && ask.pairs ? pairFor(ask, able, tried) : null
  if (pair !== null) {
    const [prefill, worker] = [pair.prefill.ref, pair.decode.ref]
    return { kind: 'pair', worker, prefill, protocol: protocolOf(prefill, config), ...how }
  }
  const of = (role: Member['role']) => able.filter((member) => member.role === role)
  const alone = ask.pin !== null ? able : of('mixed').length > 0 ? of('mixed') : of('decode')
  const worker = ownerOf(keyOf(ask), alone, tried)
  return worker && { kind: 'single', worker: worker.ref, ...how }
}

function pairFor(ask: Ask, able: readonly Member[], tried: readonly string[]) {
  const fit = able.filter(({ ref }) => ref.engine === 'unknown' || ask.pairs?.includes(ref.engine))
  const decode = ownerOf(
    keyOf(ask),
    fit.filter(({ role }) => role === 'decode'),
    tried,
  )
  const mates = fit.filter(({ role, ref }) => role === 'prefill' && ref.engine === decode?.ref.engine)
  // Another one for each attempt, as far as there are others.
  const prefill = ownerOf(`${keyOf(ask)} ${tried.length}`, mates, [])
  return decode && prefill ? { prefill, decode } : null
}

const keyOf = (ask: Ask): string => ask.session ?? ask.id

/** The member with the highest weighted score for a key; of those not tried, if any. */
function ownerOf(key: string, members: readonly Member[], tried: readonly string[]): Member | null {
  const fresh = members.filter((member) => !tried.includes(member.ref.id))
  let best: Member | null = null
  let bestScore = Infinity
  for (const member of fresh.length > 0 ? fresh : members) {
    const score = -Math.log(rendezvousScore(key, member.ref.id)) / member.weight
    if (score >= bestScore) continue
    best = member
    bestScore = score
  }
  return best
}
