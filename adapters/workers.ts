// The router on Cloudflare Workers: one fetch handler in every isolate, and its actors as Durable Objects.
import { Batches } from '../src/actors/batches.ts'
import { Limiter } from '../src/actors/limiter.ts'
import { Pool } from '../src/actors/pool.ts'
import { Registry } from '../src/actors/registry.ts'
import { OwnAlarms } from '../src/forward/own-alarms.ts'
import { createCore, dataPlane, type DataPlane } from '../src/planes.ts'
import { refuse } from '../src/routes/reply.ts'
import { durable } from './workers/durable.ts'
import { loadedOf, sentenceOf, type Env } from './workers/env.ts'
import { createHost } from './workers/host.ts'

const askAll = async (registry: Registry): Promise<void> => {
  await registry.start()
  await registry.alarm()
}
/** Any version will do: the registry has always a newer one than a pool that has none. */
const pullMembers = (pool: Pool) => pool.hint(1)

export class FetchwayRegistry extends durable(Registry, askAll) {}
export class FetchwayPool extends durable(Pool, pullMembers) {}
export class FetchwayLimiter extends durable(Limiter, () => undefined) {}

/** Its lines go out from where it is. With a wrong configuration there is no object. */
const sendLines = (batches: Batches, env: Env) => {
  const plane = open(env)
  return plane && batches.start(plane.line)
}
export class FetchwayBatches extends durable(Batches, sendLines) {}

export { FetchwayTunnel } from './workers/tunnel.ts'

/** One for each isolate: what it counts is told by the isolate that is asked. */
const planes = new WeakMap<object, DataPlane>()

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const plane = planes.get(env) ?? open(env)
    if (plane === null) return misconfigured(env)
    planes.set(env, plane)
    const answer = plane.answer(request).promise()
    // A client that leaves must not stop the handler half-way: what the call holds is given back by its end.
    ctx.waitUntil(answer)
    return answer
  },
}

/** The registry is started by its own home. Null when the configuration is wrong. */
function open(env: Env): DataPlane | null {
  const { config } = loadedOf(env)
  if (config === null) return null
  const host = createHost(config, env)
  return dataPlane(createCore(config, host, { alarms: new OwnAlarms(host) }))
}

function misconfigured(env: Env): Response {
  const issues = sentenceOf(loadedOf(env).issues)
  console.error(`fetchway: the configuration is wrong:\n${issues}`)
  const message = `The configuration of this router is wrong: ${issues.replaceAll('\n', '; ')}`
  return refuse({ status: 500, code: 'invalid_configuration', message })
}
