// The active dialect around the native app: its routes first, its words for our refusals, its fallback for what nobody knows.
import type { RefusalValue } from '../actors/ask.ts'
import type { Config } from '../config/schema.ts'
import type { Core } from '../core.ts'
import { idNameOf } from '../openai/head.ts'
import { pathname, pathOf } from '../openai/target.ts'
import type { Parts } from '../parts.ts'
import { refuse } from '../routes/reply.ts'
import type { Surface } from './dialect.ts'

type Handler = (request: Request) => Promise<Response>

/** Answers a request whose path is known; undefined: not its own. */
export type Route = (request: Request, path: string) => Promise<Response | undefined>

/** The surface of the configured dialect. Rejects when none is configured, or it is not there. */
export async function surfaceOf(
  { dialect, dialectOptions }: Config,
  parts: Parts | undefined,
): Promise<Surface> {
  const make = dialect === undefined ? null : await parts?.surface(dialect)
  if (!make) throw new Error(`the dialect ${dialect} is not in this version`)
  return make(dialectOptions)
}

/** Look-up order: dialect, native, the dialect's fallback, and `otherwise` where it has none. */
export function dialectFirst(core: Core, native: Route, otherwise: Route): Handler {
  return async (request) => {
    const path = pathname(pathOf(request.url))
    return ((await core.surface?.answer?.(core, request, path)) ??
      (await native(request, path)) ??
      (await (core.surface?.fallback ?? noFallback)(core, request, path)) ??
      (await otherwise(request, path))) as Response
  }
}

const noFallback = (): undefined => undefined

/** Loads the surface before the first request is answered, and lets it see each answer last. */
export function spoken(core: Core, answer: Handler): Handler {
  return async (came) => {
    core.surface ??= await surfaceOf(core.config, core.host.parts)
    const request = core.surface.enter?.(came) ?? came
    const response = await answer(request)
    return core.surface.finish?.(response, request, core) ?? response
  }
}

/** A request that is refused; `model`: of an inference call that was read. */
interface Refused {
  readonly url: string
  readonly method: string
  readonly model?: string | null
  readonly headers?: Headers
}

/** A refusal as the client of this router expects it: in the dialect's words, else in ours. */
export function refuseFor(
  core: Core,
  refusal: RefusalValue,
  { url, method, model, headers }: Refused,
  requestId?: string,
): Response {
  const path = pathname(pathOf(url))
  return (
    core.surface?.refuse?.(
      refusal,
      {
        path,
        method,
        requestId,
        ...(model !== undefined && { model }),
        ...(headers && { type: headers.get('content-type') }),
      },
      core,
    ) ?? refuse(refusal, path, requestId, idNameOf(core))
  )
}
