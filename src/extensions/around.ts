// The corridor with what an operator puts around calls: callbacks, a rewriter, the semantic cache, providers outside of the fleet.
import { admit } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import { attempt } from '../forward/attempt.ts'
import { relay } from '../forward/relay.ts'
import type { Watch } from '../host.ts'
import type { Call } from '../openai/call.ts'
import { idNameOf } from '../openai/head.ts'
import { BodyError } from '../openai/skip.ts'
import { isOwn } from './embedder.ts'
import type { CacheUse, Extensions, Met, ProviderModel } from './extension.ts'
import type { Callbacks, Rewriter } from './hooks.ts'
import type { Lmcache } from './lmcache/lmcache.ts'
import { takeAllowance } from './allowance.ts'
import type { Providers } from './providers.ts'
import type { SemanticCache } from './semantic-cache.ts'
import { tapped, type Tap } from './tap.ts'
import { withBody } from './with-body.ts'

/** What is there; the rest is null. */
export interface Parts {
  readonly callbacks: Callbacks | null
  readonly rewriter: Rewriter | null
  readonly providers: Providers | null
  readonly cache: SemanticCache | null
  readonly lmcache: Lmcache | null
}

/** Bytes of a call's body that is held in memory; none of a stream. */
const bytesOf = ({ body }: Call): Uint8Array =>
  body.kind === 'json' || body.kind === 'form' || body.kind === 'raw' ? body.bytes : new Uint8Array(0)

export class Around implements Extensions {
  readonly #parts: Parts
  readonly #cacheSpec: string

  /** `cacheSpec`: what the cache was made by. */
  constructor(parts: Parts, cacheSpec: string) {
    this.#parts = parts
    this.#cacheSpec = cacheSpec
  }

  /** The cache, for another configuration that wants the same one. */
  cacheFor(spec: string): SemanticCache | null {
    return spec === this.#cacheSpec ? this.#parts.cache : null
  }

  /** The controller of LMCache's workers. */
  get lmcache(): Lmcache | null {
    return this.#parts.lmcache
  }

  models(): readonly ProviderModel[] {
    return this.#parts.providers?.models ?? []
  }

  cacheUse(): CacheUse | null {
    return this.#parts.cache?.use() ?? null
  }

  async infer(core: Core, request: Request, met: Met): Promise<Response> {
    if (isOwn(request)) return this.#send(core, met)
    const { callbacks, cache } = this.#parts
    const shown = callbacks && new Request(request.url, { method: request.method, headers: request.headers })
    const early = shown && (await callbacks.before(shown, bytesOf(met.call)))
    if (early) return answered(core, met.call, early)
    const call = await this.#rewritten(core, met)
    const taps: Tap[] = []
    if (shown && callbacks.seesAnswers) taps.push((bytes) => callbacks.after(shown, bytes))
    const asked = cache && (await cache.look(core, { ...met, call }))
    if (asked?.kind === 'hit') {
      for (const tap of taps) tap(asked.bytes)
      return answered(core, asked.call, asked.response)
    }
    if (asked?.kind === 'miss') taps.push(asked.tap)
    return this.#send(core, { ...met, call: withTaps(asked?.call ?? call, taps) })
  }

  async #send(core: Core, met: Met): Promise<Response> {
    const { providers, lmcache } = this.#parts
    const { caller } = met
    const call = lmcache === null ? met.call : await lmcache.mark(core, met.call)
    met.seen(call)
    const named = call.model ?? core.config.defaultModel ?? null
    const alias =
      named !== null && Object.hasOwn(core.config.aliases, named) ? core.config.aliases[named] : named
    const offer = providers?.find(alias ?? null)
    if (providers && offer && call.method === 'POST') {
      await takeAllowance(core, caller, call.tokens)
      const { admitted, started } = await providers.send(core, { ...met, call }, offer)
      return relay(core, admitted, started)
    }
    const admitted = await admit(core, call, caller)
    return attempt(core, admitted, relay).promise()
  }

  async #rewritten(core: Core, { call }: Met): Promise<Call> {
    const { rewriter } = this.#parts
    if (!rewriter || call.body.kind !== 'json') return call
    const path = call.path.split('?')[0] as string
    const bytes = await rewriter.rewrite(call.body.bytes, call.model ?? '', path)
    if (bytes === null) return call
    try {
      return withBody(call, bytes)
    } catch (error) {
      if (!(error instanceof BodyError)) throw error
      const message = 'rewrite_request returned no JSON object: the body goes on as it came'
      core.host.log({ level: 'error', message, error: error.message })
      return call
    }
  }
}

function withTaps(call: Call, taps: readonly Tap[]): Call {
  if (taps.length === 0) return call
  const tap = (inner: Watch, status: number): Watch =>
    status < 400 ? taps.reduce((watch, one) => tapped(watch, one), inner) : inner
  return { ...call, tap }
}

/** An answer that no engine gave: the call has ended. */
function answered(core: Core, call: Call, response: Response): Response {
  core.live--
  call.release()
  const { status } = response
  core.instruments.ended({
    model: core.models.known(call.model),
    endpoint: call.endpoint.name,
    status,
    outcome: status < 400 ? 'ok' : 'refused',
    seconds: (core.host.now() - call.startedAt) / 1000,
  })
  const headers = new Headers(response.headers)
  headers.set(idNameOf(core), call.requestId)
  return new Response(response.body, { status, headers })
}
