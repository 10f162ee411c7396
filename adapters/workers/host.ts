// What Workers lend the app: fetch, native relaying, time, and the actors as Durable Objects.
import { waitUntil } from 'cloudflare:workers'
import { degrading } from '../../src/actors/degrade.ts'
import { sharded } from '../../src/actors/sharded.ts'
import type { ActorRef } from '../../src/actors/actor.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Host, WorkerRef } from '../../src/host.ts'
import { createLogger } from '../../src/metrics/log.ts'
import { TUNNEL } from '../../src/tunnel/name.ts'
import { fetchUpstream } from '../web/upstream.ts'
import { decides, readDecision } from './decisions.ts'
import type { Actors, Env } from './env.ts'
import { workersParts } from './parts.ts'
import { fetcherOf, placeOf } from './place.ts'
import { createRelay } from './relay.ts'
import { createTunnelDoor, fetchTunnel, upgradeTunnel } from './tunnel-door.ts'
import { telling } from './unreached.ts'
import { upgrade } from './upgrade.ts'

type ActorRefs = Pick<Host, 'registry' | 'pool' | 'limiter' | 'batches'>

/** The host of one isolate. `waitUntil`, timers and stubs belong to the request that runs when they are made. */
export function createHost(config: Config, env: Env): Host {
  const seams = createSeams(config, env)
  const { registry, pool, limiter, batches } = actorRefs(env)
  const { log } = seams
  return {
    ...seams,
    isPerRequest: true,
    parts: workersParts,
    registry: telling('registry', registry, log),
    pool: telling('pool', sharded(degrading({ pool, registry, config, log }), config.poolShards), log),
    limiter,
    ...(batches && { batches }),
  }
}

/** All but the actors: what a Durable Object has, too. */
export function createSeams(config: Config, env: Env): Omit<Host, keyof ActorRefs> {
  // Time stands still while a Worker computes and goes on with its next input; that is enough for all that is timed here.
  const now = () => Date.now()
  const log = createLogger({
    level: config.logLevel,
    write: (line) => console.log(line),
    now,
  })
  const timer: Host['timer'] = (ms, run) => {
    const timeout = setTimeout(run, Math.min(ms, 2_147_483_647))
    return () => clearTimeout(timeout)
  }
  const after = (work: Promise<unknown>) =>
    waitUntil(
      work.catch((error: unknown) =>
        log({ level: 'error', message: 'work after a response failed', error: String(error) }),
      ),
    )
  return {
    fetch: (worker, outgoing) =>
      isTunnel(worker)
        ? fetchTunnel(env, worker, outgoing)
        : fetchUpstream(fetcherOf(env, worker), worker, outgoing),
    relay: createRelay({ after, timer }, config.keepAlive),
    pipe: () => new IdentityTransformStream(),
    upgrade: (worker, request, outgoing, closed) =>
      isTunnel(worker)
        ? upgradeTunnel(env, worker, { request, outgoing }, closed)
        : upgrade(fetcherOf(env, worker), worker, { request, outgoing }, closed),
    tunnels: createTunnelDoor(config, env, after),
    now,
    random: Math.random,
    timer,
    after,
    log,
  }
}

const isTunnel = ({ url }: WorkerRef): boolean => url.startsWith(TUNNEL)

/** The actors that are bound, each an object of its own, where it is placed. */
export function actorRefs(env: Env): ActorRefs {
  const place = placeOf(env)
  return {
    registry: refTo(env.REGISTRY, place),
    pool: refTo(env.POOL, place),
    limiter: refTo(env.LIMITER, place),
    ...(env.BATCHES && { batches: refTo(env.BATCHES, place) }),
  }
}

/** A stub is made for each use: it belongs to one request. What it answers looks like a promise but is none. */
function refTo<T extends object>(namespace: Actors<T>, place: ReturnType<typeof placeOf>): ActorRef<T> {
  return (name) => {
    const stub = namespace.getByName(name, place) as unknown as Record<
      string,
      (...args: unknown[]) => unknown
    >
    const target: Record<string, unknown> = {}
    const call =
      (method: string) =>
      async (...args: unknown[]): Promise<unknown> =>
        decides(method) ? readDecision(await stub[method]?.(...args)) : stub[method]?.(...args)
    return new Proxy(target, { get: (_, method) => call(method as string) }) as ReturnType<ActorRef<T>>
  }
}
