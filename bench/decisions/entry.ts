// The Worker of bench/{decisions,shards}.ts: sends asks to a real pool object, as many at once as it is told, and tells the time.
import { DurableObject } from 'cloudflare:workers'
import { configOf, type Env } from '../../adapters/workers/env.ts'
import { actorRefs } from '../../adapters/workers/host.ts'
import type { ActorRef, Remote } from '../../src/actors/actor.ts'
import type { Ask } from '../../src/actors/ask.ts'
import type { Pool } from '../../src/actors/pool.ts'
import { FetchwayPool } from '../../adapters/workers.ts'
import { sharded } from '../../src/actors/sharded.ts'

export { FetchwayLimiter, FetchwayRegistry, FetchwayTunnel } from '../../adapters/workers.ts'

/** The pool, which can also be told to decide many times in one call: what is left is the decision alone. */
export class BenchPool extends FetchwayPool {
  decide(run: string, calls: number, blocks: number): string[] {
    const ids = Array.from({ length: calls }, (_, index) => `${run}-${index}`)
    const { pick } = this as unknown as { pick(ask: Ask): unknown }
    for (const id of ids) pick.call(this, askOf(id, blocks))
    return ids
  }
}

/** What a call costs that decides nothing. */
export class Nothing extends DurableObject {
  take({ id }: Ask): string {
    return id
  }
}

interface Bindings extends Env {
  readonly NOTHING: DurableObjectNamespace<Nothing>
}

/** Decisions without calls, a call for each that decides nothing, the pick alone, or all that a stream sends. */
type Way = 'inside' | 'nothing' | 'pick' | 'stream'

/** Leases of picks that nobody has ended yet. */
let open: string[] = []

export default {
  async fetch(request: Request, env: Bindings): Promise<Response> {
    const wish = new URL(request.url).searchParams
    const number = (name: string) => Number(wish.get(name))
    const pool = poolOf(env)
    if (wish.get('way') === 'end') return Response.json(await endAll(pool))
    if (wish.get('way') === 'inside') return decideInside(env, number('calls'), number('blocks'))
    const decide = decider(wish.get('way') as Exclude<Way, 'inside'>, env, number('blocks'))
    const began = Date.now()
    let left = number('calls')
    const caller = async () => {
      while (left-- > 0) await decide()
    }
    await Promise.all(Array.from({ length: number('width') }, caller))
    return Response.json({ wall: Date.now() - began })
  },
}

/** As the router reaches it: one object, or as many as are configured. */
const poolOf = (env: Bindings) => sharded(actorRefs(env).pool, configOf(env).poolShards)('main')

/** So many decisions in one call of the object at most: it serves nobody else meanwhile. */
const AT_ONCE = 500

async function decideInside(env: Bindings, calls: number, blocks: number): Promise<Response> {
  const pool = env.POOL.getByName('main') as unknown as Remote<BenchPool>
  for (let left = calls; left > 0; left -= AT_ONCE)
    open.push(...(await pool.decide(crypto.randomUUID(), Math.min(left, AT_ONCE), blocks)))
  return Response.json({})
}

/** Ends what was picked; tells how many leases are left after that. */
async function endAll(pool: ReturnType<ActorRef<Pool>>): Promise<{ leases: number }> {
  const ids = open
  open = []
  for (const id of ids) await pool.settle(id, DONE)
  return { leases: (await pool.view()).leases }
}

const USAGE = { promptTokens: 256, cachedTokens: null, completionTokens: 64, estimated: false }
const DONE = { kind: 'done', status: 200, usage: USAGE } as const
let made = 0

function decider(way: Exclude<Way, 'inside'>, env: Bindings, blocks: number): () => Promise<void> {
  const run = crypto.randomUUID()
  const next = () => askOf(`${run}-${made++}`, blocks)
  if (way === 'nothing') {
    const stub = env.NOTHING.getByName('main')
    return async () => void (await stub.take(next()))
  }
  const pool = poolOf(env)
  return async () => {
    const ask = next()
    const picked = await pool.pick(ask)
    if ('refusal' in picked) throw new Error(picked.refusal.message)
    if (way === 'pick') return void open.push(ask.id)
    await Promise.all([pool.note([{ id: ask.id, kind: 'first', after: 50 }]), pool.settle(ask.id, DONE)])
  }
}

/** A conversation in eight shares its first half with others. */
function askOf(id: string, blocks: number): Ask {
  const prefix = Float64Array.from({ length: blocks }, (_, index) =>
    index < blocks / 2 ? (made % 8) * 1000 + index : made * 1000 + index,
  )
  const size = { prefix: blocks === 0 ? null : prefix, promptBytes: blocks * 256, tokens: blocks * 64 + 16 }
  const plain = {
    id,
    model: 'm',
    session: `s${made % 512}`,
    priority: 0,
    tenant: 'default',
    engines: null,
    pin: null,
  }
  return { ...plain, ...size, stream: true, queueUntil: Date.now() + 60_000, makesState: false }
}
