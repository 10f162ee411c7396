// Lets a call in: its model must exist, its tenant have allowance left. Makes the ask and the body that the workers get.
import type { Ask } from '../actors/ask.ts'
import type { Allowance } from '../actors/limiter.ts'
import type { Config } from '../config/schema.ts'
import type { Core } from '../core.ts'
import type { Call } from '../openai/call.ts'
import { pathname } from '../openai/target.ts'
import { Refusal, quoted } from '../openai/errors.ts'
import { setMultipartField } from '../openai/multipart.ts'
import { withoutPdKeys } from '../openai/pd-keys.ts'
import type { TopLevel } from '../openai/scan.ts'
import { BodyError } from '../openai/skip.ts'
import type { Shape } from '../openai/shapes.ts'
import { editBody, type Edit } from '../openai/spans.ts'
import type { OutgoingBody } from '../host.ts'
import { clientSession } from '../forward/kv-session.ts'
import { Life } from '../forward/notes.ts'
import type { Caller } from './auth.ts'
import { holderOf } from './holder.ts'
import { promptKeyOf } from './prefix.ts'

/** A call that may go out. */
export interface Admitted {
  readonly call: Call
  readonly caller: Caller
  readonly ask: Ask
  /** What renewals tell of it, once it has begun. */
  readonly life: Life
  /** As the workers get it: the client's bytes, but for the model of an alias and the usage that the router wants to see. */
  readonly body: OutgoingBody
  /** What was done to the client's JSON to make it. */
  readonly edits: readonly Edit[]
  /** The router asked for usage where the client did not: the extra chunk is for the router alone. */
  readonly stripUsage: boolean
  /** The model as the workers know it; null when the call names none. */
  readonly model: string | null
}

/** Share of calls whose streams are counted with `--usage sample`. */
const SAMPLE = 0.1

/**
 * Admits a call or throws a `Refusal`: 404 for an unknown model, 429 when the tenant's allowance is used up. A promise only where
 * somebody has to be asked.
 */
export function admit(core: Core, call: Call, caller: Caller): Admitted | Promise<Admitted> {
  const now = core.host.now()
  const model = knownModel(core, call, now)
  const isBound = call.pin === undefined && call.builtOn !== null
  if (model === undefined || caller.allowance !== null || isBound) return askAround(core, call, caller)
  return admitted(core, call, caller, { model, pin: call.pin ?? null, now })
}

async function askAround(core: Core, call: Call, caller: Caller): Promise<Admitted> {
  const model = await resolveModel(core, call)
  if (caller.allowance) {
    const seconds = await overLimit(core, caller.allowance, call.tokens)
    if (seconds > 0) {
      const message = `The rate limit of ${caller.tenant} is used up: try again in ${seconds} s.`
      throw new Refusal(429, 'rate_limited', message, seconds)
    }
  }
  const pin = call.pin === undefined && call.builtOn !== null ? await holderOf(core, call.builtOn) : call.pin
  return admitted(core, call, caller, { model, pin: pin ?? null, now: core.host.now() })
}

/** What was found out before: the model as the workers know it, and the only worker that it may go to. */
interface Found {
  readonly model: string | null
  readonly pin: string | null
  /** Epoch ms. */
  readonly now: number
}

function admitted(core: Core, call: Call, caller: Caller, { model, pin, now }: Found): Admitted {
  const { config } = core
  const asksUsage = wantsUsage(core, call)
  const edits = editsOf(call, model, asksUsage)
  const kvSession = clientSession(call)
  const { prefix, promptBytes, conversation } = promptKeyOf(config, call, model)
  // Set one by one: spreading three objects into it would cost more than the rest of this function.
  const ask: { -readonly [K in keyof Ask]: Ask[K] } = {
    id: call.id,
    model: config.models === 'ignore' ? null : model,
    prefix,
    promptBytes,
    tokens: call.tokens,
    session: call.session,
    priority: call.priority,
    tenant: caller.tenant,
    stream: call.isStream,
    queueUntil: waitsUntil(core.config, call, now),
    engines: call.endpoint.engines,
    pin,
    makesState: call.makesState,
  }
  const pairs = pairsOf(call)
  if (pairs !== undefined) ask.pairs = pairs
  if (conversation !== undefined) ask.conversation = conversation
  if (call.chunks !== undefined) ask.chunks = call.chunks
  if (call.prefers !== undefined) ask.prefers = call.prefers
  if (kvSession !== undefined) ask.kvSession = kvSession
  const body = bodyOf(call, model, edits)
  return { call, caller, ask, life: new Life(ask), body, edits, stripUsage: asksUsage, model }
}

/** Seconds until there is room again, 0 when there is. A limiter that is lost stops nobody. */
async function overLimit({ host }: Core, allowance: Allowance, tokens: number): Promise<number> {
  try {
    return await host.limiter(allowance.tenant).take(allowance, tokens)
  } catch (error) {
    host.log({
      level: 'warn',
      message: 'the limiter did not answer: let in without it',
      error: String(error),
    })
    return 0
  }
}

/** Epoch ms until which a call may wait for room: not longer than the whole of it may take. */
function waitsUntil(config: Config, call: Call, now: number): number {
  const queue = config.queueTimeout > 0 ? now + config.queueTimeout : Infinity
  return config.totalTimeout > 0 ? Math.min(queue, call.startedAt + config.totalTimeout) : queue
}

/** An own key alone: a client may ask for a model called `constructor`. */
const aliasOf = ({ config }: Core, name: string): string | undefined =>
  Object.hasOwn(config.aliases, name) ? config.aliases[name] : undefined

/** What a call named, or is taken to mean. */
const namedBy = ({ config }: Core, { model, body }: Call): string | null =>
  model ?? (body.kind === 'json' ? (config.defaultModel ?? null) : null)

/** The model that a call means, aliases resolved, where it is known to exist; undefined: somebody has to be asked. */
function knownModel(core: Core, call: Call, now: number): string | null | undefined {
  const named = namedBy(core, call)
  if (named === null) return null
  const model = aliasOf(core, named) ?? named
  if (core.config.models !== 'ignore') return core.models.named(model, now)
  core.models.glance(now)
  return model
}

/** The same; asks for it where it is not known. */
async function resolveModel(core: Core, call: Call): Promise<string | null> {
  const known = knownModel(core, call, core.host.now())
  if (known !== undefined) return known
  const named = namedBy(core, call) as string
  const model = aliasOf(core, named) ?? named
  if (await core.models.find(model)) return model
  const { directory } = core.models
  if (directory.wildcard) return model
  if (directory.workers === 0) {
    throw new Refusal(
      503,
      'no_workers',
      'This router has no workers yet: add one with POST /fetchway/v1/workers.',
      5,
    )
  }
  if (directory.pending > 0) {
    const message = `The model ${quoted(named)} is not known yet: ${directory.pending} worker(s) have not answered so far.`
    throw new Refusal(503, 'no_workers', message, 2)
  }
  const names = [...directory.models.map((entry) => entry.id), ...Object.keys(core.config.aliases)]
  throw new Refusal(
    404,
    'model_not_found',
    `The model ${quoted(named)} does not exist here. Known models: ${list(names)}.`,
  )
}

function list(names: readonly string[]): string {
  const shown = names
    .slice(0, 10)
    .map((name) => name.slice(0, 200))
    .join(', ')
  return names.length > 10 ? `${shown} and ${names.length - 10} more (GET /v1/models)` : shown || 'none'
}

function wantsUsage({ config, host }: Core, call: Call): boolean {
  if (!call.isStream || call.body.kind !== 'json' || config.usage === 'off') return false
  if (call.shape !== 'chat' && call.shape !== 'completions') return false
  const options = call.body.top.kind('stream_options')
  if (options === 'object') {
    if (includesUsage(call.body.top)) return false
  } else if (options !== null && options !== 'null') return false
  return config.usage === 'all' || host.random() < SAMPLE
}

/** True also for options that are no JSON inside: they are left alone, for the engine to refuse. */
function includesUsage(top: TopLevel): boolean {
  try {
    return (top.json('stream_options') as { include_usage?: unknown }).include_usage === true
  } catch (error) {
    if (error instanceof BodyError) return true
    throw error
  }
}

/** Engines that hand over calls of a shape. What builds on stored state is done where that is. */
const PAIRS: Partial<Record<Shape, readonly string[]>> = {
  chat: ['vllm', 'sglang', 'lmdeploy'],
  completions: ['vllm', 'sglang', 'lmdeploy'],
  messages: ['sglang'],
  responses: ['vllm', 'sglang'],
  generate: ['sglang'],
}

/** vLLM's way in for tokens, whose answers have no shape of their own here. */
const TOKENS_IN = '/inference/v1/generate'
const OF_TOKENS: readonly string[] = ['vllm']

const pairsOf = ({ shape, path, body, builtOn, makesState, method, isWhole }: Call) => {
  if (isWhole || body.kind !== 'json' || builtOn !== null || makesState || method !== 'POST') return undefined
  return shape === 'other' && pathname(path) === TOKENS_IN ? OF_TOKENS : PAIRS[shape]
}

const NO_EDITS: readonly Edit[] = []
const ASK_USAGE: Edit = { kind: 'setIn', key: 'stream_options', inner: 'include_usage', value: 'true' }
const USAGE_ALONE: readonly Edit[] = [ASK_USAGE]

function editsOf(call: Call, model: string | null, asksUsage: boolean): readonly Edit[] {
  const removals = call.body.kind === 'json' ? withoutPdKeys(call.body.top) : NO_EDITS
  const isRenamed = model !== null && model !== call.model
  if (removals.length === 0 && !isRenamed) return asksUsage ? USAGE_ALONE : NO_EDITS
  const edits = [...removals]
  if (isRenamed) edits.push({ kind: 'set', key: 'model', value: JSON.stringify(model) })
  if (asksUsage) edits.push(ASK_USAGE)
  return edits
}

function bodyOf(call: Call, model: string | null, edits: readonly Edit[]): OutgoingBody {
  const { body } = call
  if (body.kind === 'none') return null
  if (body.kind === 'stream') return body.stream
  if (body.kind === 'json') return edits.length > 0 ? editBody(body.bytes, body.top, edits) : [body.bytes]
  if (body.kind === 'form' && model !== null && model !== call.model)
    return setMultipartField(body.bytes, body.boundary, 'model', model)
  return [body.bytes]
}
