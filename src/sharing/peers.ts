// The pools of other routers with the same workers, told over HTTP what this one has.
import type { ActorState } from '../actors/actor.ts'
import type { Neighbour } from '../actors/exchange.ts'
import type { Config } from '../config/schema.ts'
import { routerAt, say } from './call.ts'
import { sayDigest } from './words.ts'

/** A digest that takes longer is old anyway, ms. */
const TIMEOUT = 1000

/** The configured peers. One that does not keep up gets fewer digests, not more at once: sums lose nothing. */
export function peersOf(
  { peers, adminKey }: Config,
  state: Pick<ActorState, 'fetch' | 'timer'>,
): Neighbour[] {
  return peers.map((url) => {
    const router = routerAt(url, adminKey)
    return {
      sharesPrompts: true,
      hear: async (digest) => void (await say(state, router, [['hear', sayDigest(digest)]], TIMEOUT)),
    }
  })
}
