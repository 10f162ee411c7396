// Many routers in one workerd: the Worker and its Durable Objects as they are, but each router has a name and variables of its own.
import worker, * as adapter from '../../../adapters/workers.ts'
import type { Env } from '../../../adapters/workers/env.ts'

interface Router {
  readonly env: Env
  /** Their objects, by the name of the router that made them. */
  readonly prefix: string
}

type Namespace = DurableObjectNamespace<adapter.FetchwayPool & { end(): void }>
type Bindings = Record<'REGISTRY' | 'POOL' | 'LIMITER' | 'TUNNEL' | 'BATCHES', Namespace>
const KINDS = ['REGISTRY', 'POOL', 'LIMITER', 'TUNNEL', 'BATCHES'] as const

const routers = new Map<string, Router>()

/** Objects of one router: their names begin with its store. */
function envOf(bindings: Bindings, prefix: string, variables: object): Env {
  const env: Record<string, unknown> = { ...variables }
  for (const [name, value] of Object.entries(variables))
    if (name.startsWith('VIA_')) env[name] = bindingTo(value)
  for (const kind of KINDS)
    env[kind] = { getByName: (name: string) => bindings[kind].getByName(`${prefix}/${name}`) }
  return env as unknown as Env
}

/** A binding as that of a VPC service: whatever host is named, calls go to one place. */
const bindingTo = (origin: string) => ({
  fetch: (url: string, init?: RequestInit) => fetch(origin + new URL(url).pathname, init),
})

/** Variables of the router that an object belongs to; the newest of those that share a store. */
function variablesOf(ctx: DurableObjectState): Env {
  const prefix = ctx.id.name?.split('/')[0]
  const found = [...routers.values()].findLast((router) => router.prefix === prefix)
  if (!found) throw new Error(`no router has the objects ${prefix}`)
  return found.env
}

type Home = new (ctx: DurableObjectState, env: Env) => { end(): void }

function tenanted(Object: new (ctx: DurableObjectState, env: Env) => object): Home {
  return class extends (Object as unknown as new (
    ctx: DurableObjectState,
    env: Env,
  ) => { ctx: DurableObjectState }) {
    constructor(ctx: DurableObjectState, _bindings: Env) {
      super(ctx, variablesOf(ctx))
    }
    /** Ends this incarnation; what is stored stays. */
    end(): void {
      void this.ctx.storage.deleteAlarm()
      this.ctx.abort('the router was closed')
    }
  } as unknown as Home
}

export class Registry extends tenanted(adapter.FetchwayRegistry) {}
export class Pool extends tenanted(adapter.FetchwayPool) {}
export class Limiter extends tenanted(adapter.FetchwayLimiter) {}
export class Batches extends tenanted(adapter.FetchwayBatches) {}
export class Tunnel extends tenanted(adapter.FetchwayTunnel) {}

export default {
  /** `/open/NAME` (variables in the body), `/close/NAME`, `/lose/NAME`, `/forget/NAME`, `/halt/NAME` and `/cut/NAME/WORKER` are for the test; other requests name their router in a header. */
  async fetch(request: Request, bindings: Bindings, ctx: ExecutionContext): Promise<Response> {
    const url = new URL(request.url)
    const [, command, name = '', ...rest] = url.pathname.split('/')
    if (command === 'open') {
      const { prefix, variables } = await request.json<{ prefix: string; variables: object }>()
      routers.set(name, { prefix, env: envOf(bindings, prefix, variables) })
      return new Response()
    }
    if (command === 'close') return end(bindings, name, ['REGISTRY', 'POOL'])
    if (command === 'lose') return end(bindings, name, ['POOL'])
    if (command === 'forget') return end(bindings, name, ['REGISTRY'])
    if (command === 'cut') return end(bindings, name, ['TUNNEL'], rest[0])
    if (command === 'halt') return end(bindings, name, ['BATCHES'])
    // Those that dial in send no headers of ours: /in/NAME stands before their path.
    const isIn = command === 'in'
    const router = routers.get(isIn ? name : (request.headers.get('x-router') ?? ''))
    if (!router) return new Response('no such router', { status: 500 })
    if (isIn) url.pathname = `/${rest.join('/')}`
    const headers = new Headers(request.headers)
    headers.delete('x-router')
    return worker.fetch(new Request(isIn ? url : request, isIn ? request : { headers }), router.env, ctx)
  },
}

/** Ends the incarnations of a router's objects. */
async function end(
  bindings: Bindings,
  name: string,
  kinds: readonly (keyof Bindings)[],
  object = 'main',
): Promise<Response> {
  const prefix = routers.get(name)?.prefix
  const ended = kinds.map((kind) =>
    bindings[kind]
      .getByName(`${prefix}/${object}`)
      .end()
      .catch(() => undefined),
  )
  await Promise.all(ended)
  return new Response()
}
