// Which workers a call had better go to, by what LMCache holds of its prompt: the tokens are counted by an engine.
import type { Core } from '../../core.ts'
import { askWorker } from '../../discovery/ask.ts'
import type { WorkerRef } from '../../host.ts'
import type { Call } from '../../openai/call.ts'
import { fleetOf, type Backend } from '../../dialects/gateway/fleet.ts'
import type { LmcacheController } from './controller.ts'
import type { Instance } from './holdings.ts'

/** Milliseconds: a call waits no longer for its tokens. */
const PATIENCE = 2000
const PROMPTS = new Set(['/v1/chat/completions', '/v1/completions'])
/** Fields that decide which tokens a chat becomes. */
const CHAT_FIELDS = [
  'messages',
  'tools',
  'chat_template',
  'chat_template_kwargs',
  'continue_final_message',
] as const

/**
 * Ids of the workers that hold most of the call's prompt, where that is at least all but `threshold` tokens; undefined: nobody does, or
 * nobody can tell.
 */
export async function preferred(
  core: Core,
  controller: LmcacheController,
  call: Call,
  threshold: number,
): Promise<readonly string[] | undefined> {
  if (controller.isEmpty || !PROMPTS.has(call.endpoint.name) || call.body.kind !== 'json') return undefined
  const model = Object.hasOwn(core.config.aliases, call.model ?? '')
    ? core.config.aliases[call.model ?? '']
    : call.model
  const question = questionOf(call, model ?? null)
  const fleet = (await fleetOf(core)).filter(({ isHealthy }) => isHealthy)
  const teller = fleet.find((one) => one.model === model) ?? fleet[0]
  if (question === null || !teller) return undefined
  const tokens = await tokensBy(core, teller.ref, question)
  if (tokens === null) return undefined
  const { instances, matched } = controller.lookUp(tokens)
  if (matched === 0 || matched < tokens.length - threshold) return undefined
  const ids = instances.flatMap((instance) => workersOf(instance, fleet)).map(({ id }) => id)
  return ids.length === 0 ? undefined : ids
}

/** The workers of an instance: at its address; where several are, those whose port its name ends with. */
function workersOf({ ip, name }: Instance, fleet: readonly Backend[]): readonly Backend[] {
  const there = fleet.filter(({ url }) => hostnameOf(url) === ip || hostnameOf(url) === name)
  if (there.length < 2) return there
  const named = there.filter(({ url }) => name.endsWith(portOf(url)))
  return named.length > 0 ? named : there
}

const hostnameOf = (url: string): string =>
  URL.canParse(url) ? new URL(url).hostname.replace(/^\[(.*)\]$/, '$1') : ''
const portOf = (url: string): string => new URL(url).port || '80'

function questionOf({ body, endpoint }: Call, model: string | null): string | null {
  if (body.kind !== 'json') return null
  if (endpoint.name === '/v1/completions') {
    const prompt = body.top.string('prompt')
    return prompt === null ? null : JSON.stringify({ model, prompt })
  }
  const fields = CHAT_FIELDS.flatMap((key) => {
    const raw = body.top.raw(key)
    return raw === null || raw === 'null' ? [] : [`${JSON.stringify(key)}:${raw}`]
  })
  return `{"model":${JSON.stringify(model)},"add_generation_prompt":true,${fields.join(',')}}`
}

/** Null: it can't tell. */
async function tokensBy(core: Core, ref: WorkerRef, body: string): Promise<readonly number[] | null> {
  const reply = await askWorker(core.host, ref, {
    method: 'POST',
    path: '/tokenize',
    body,
    timeout: PATIENCE,
  })
  if (reply.status !== 200) return null
  try {
    const { tokens } = JSON.parse(reply.text) as { tokens?: unknown }
    return Array.isArray(tokens) && tokens.every(Number.isInteger) ? (tokens as number[]) : null
  } catch {
    return null // no JSON
  }
}
