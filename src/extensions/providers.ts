// OpenAI-compatible services outside of the fleet: which models they have, and calls to them.
import type { Ask, SinglePlan } from '../actors/ask.ts'
import { OUTSIDE } from '../admission/outside.ts'
import type { Admitted } from '../admission/admit.ts'
import type { ProviderSpec } from '../config/extending.ts'
import type { Core } from '../core.ts'
import { askWorker } from '../discovery/ask.ts'
import { single } from '../execute/single.ts'
import { Life } from '../forward/notes.ts'
import type { Started } from '../execute/attempted.ts'
import { ClientLeft } from '../forward/left.ts'
import { Stop } from '../forward/stop.ts'
import { opaqueId } from '../hash.ts'
import type { WorkerRef } from '../host.ts'
import { editBody } from '../openai/spans.ts'
import { Refusal } from '../openai/errors.ts'
import type { Call } from '../openai/call.ts'
import type { Met, ProviderModel } from './extension.ts'

/** Milliseconds before a further attempt, doubling. */
const PAUSE = 100
/** A model that a provider has. */
interface Offer {
  readonly provider: Provider
  readonly id: string
}

interface Provider {
  readonly spec: ProviderSpec
  readonly ref: WorkerRef
}

export class Providers {
  readonly #offers = new Map<string, Offer>()
  readonly #models: ProviderModel[] = []

  /** Asks each which models it has; one that does not answer is believed what is configured. */
  static async meet(core: Core, specs: readonly ProviderSpec[]): Promise<Providers> {
    const met = new Providers()
    await Promise.all(specs.map((spec) => met.#add(core, spec)))
    return met
  }

  get models(): readonly ProviderModel[] {
    return this.#models
  }

  /** Whose a model is, by its id or one of its aliases. The fleet's own models come first: ask for those before. */
  find(model: string | null): Offer | undefined {
    return model === null ? undefined : this.#offers.get(model)
  }

  async #add(core: Core, spec: ProviderSpec): Promise<void> {
    const { apiKey, headers, name } = spec
    const url = spec.url.replace(/\/+$/, '').replace(/\/v1$/, '')
    const ref: WorkerRef = {
      id: opaqueId('p', url),
      url,
      engine: OUTSIDE,
      ...(apiKey !== undefined && { apiKey }),
      ...(Object.keys(headers).length > 0 && { headers }),
    }
    const listed = await modelsAt(core, ref, spec.timeout)
    for (const { id, aliases } of spec.models) {
      if (listed !== null && !listed.has(id)) {
        core.host.log({ level: 'warn', message: `provider ${name} has no model ${id}: it is left out` })
        continue
      }
      const offer = { provider: { spec, ref }, id }
      for (const known of [id, ...aliases]) this.#offers.set(known, offer)
      this.#models.push({ id, ownedBy: name })
    }
  }

  /** An answer of the provider that has begun. Throws a `Refusal`, or `ClientLeft`. */
  async send(
    core: Core,
    { call, caller }: Met,
    offer: Offer,
  ): Promise<{ admitted: Admitted; started: Started }> {
    const admitted = admittedTo(call, caller, offer)
    const stop = new Stop()
    const leave = () => stop.abort()
    call.signal.addEventListener('abort', leave, { once: true })
    try {
      return { admitted, started: await attempts(core, admitted, offer.provider, stop) }
    } catch (error) {
      core.surface?.follow?.({ kind: 'over', id: call.id }, core)
      throw error
    } finally {
      call.signal.removeEventListener('abort', leave)
    }
  }
}

async function attempts(
  core: Core,
  admitted: Admitted,
  { spec, ref }: Provider,
  stop: Stop,
): Promise<Started> {
  const { call } = admitted
  const { instruments, surface, host } = core
  const hurried = { ...core, config: timed(core, spec) }
  for (let attempt = 1; ; attempt++) {
    const plan: SinglePlan = { kind: 'single', worker: ref, decision: call.id, attempt, waited: 0, delay: 0 }
    surface?.follow?.({ kind: 'sent', admitted, plan }, core)
    const attempted = await single(hurried, admitted, plan, stop).promise()
    if (call.signal.aborted && attempted.kind === 'started') attempted.upstream.cancel()
    if (call.signal.aborted) throw new ClientLeft()
    if (attempted.kind === 'started') return attempted
    const { kind } = attempted.failure
    surface?.count?.({ kind: 'failed', id: call.id, url: ref.url, failure: kind }, core)
    instruments.upstreamFailures.with(ref.id, kind).add()
    const isOver = attempt > spec.maxRetries || kind.endsWith('_timeout') || call.makesState
    if (isOver || call.body.kind === 'stream') throw failed(spec.name, kind)
    await new Promise<void>((resolve) => host.timer(PAUSE * 2 ** (attempt - 1), resolve))
  }
}

const failed = (name: string, kind: string): Refusal =>
  new Refusal(502, 'provider_failed', `External provider '${name}' request failed: ${kind}`)

const timed = ({ config }: Core, { timeout }: ProviderSpec): Core['config'] => ({
  ...config,
  firstTokenTimeout: timeout,
  idleTimeout: timeout,
})

/** Ids of its models; null: it does not tell. */
async function modelsAt(core: Core, ref: WorkerRef, timeout: number): Promise<Set<string> | null> {
  const reply = await askWorker(core.host, ref, {
    method: 'GET',
    path: '/v1/models',
    timeout: timeout || 30_000,
  })
  if (reply.status !== 200) return null
  try {
    const { data } = JSON.parse(reply.text) as { data?: unknown }
    if (!Array.isArray(data)) return null
    return new Set(data.flatMap(({ id }: { id?: unknown }) => (typeof id === 'string' ? [id] : [])))
  } catch {
    return null // no JSON
  }
}

/** Of the client's own headers only those that say what the body is: who it is, is no business of others. */
const PASSED = new Set(['content-type', 'accept', 'accept-encoding'])

function admittedTo(call: Call, caller: Met['caller'], { id }: Offer): Admitted {
  const { body, headers } = call
  const passed = headers.passed.filter((_, at) => PASSED.has(headers.passed[at - (at % 2)] as string))
  const edits = id === call.model ? [] : [{ kind: 'set' as const, key: 'model', value: JSON.stringify(id) }]
  const bytes =
    body.kind === 'json'
      ? editBody(body.bytes, body.top, edits)
      : body.kind === 'form' || body.kind === 'raw'
        ? [body.bytes]
        : body.kind === 'stream'
          ? body.stream
          : null
  const path = call.path.split('?')[0] as string
  const own: Call = { ...call, path, headers: { passed, keys: [] } }
  return {
    call: own,
    caller,
    ask: askOf(own, caller.tenant, id),
    life: new Life(own),
    body: bytes,
    edits,
    stripUsage: false,
    model: id,
  }
}

/** No pool sees it. */
function askOf(call: Call, tenant: string, model: string): Ask {
  return {
    id: call.id,
    model,
    prefix: null,
    promptBytes: 0,
    tokens: call.tokens,
    session: call.session,
    priority: call.priority,
    tenant,
    stream: call.isStream,
    queueUntil: Infinity,
    engines: null,
    pin: null,
    makesState: call.makesState,
  }
}
