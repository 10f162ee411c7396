// What a row of Fetchway must have switched on to count: asked of the very process that was measured, after each round.
import { columns, makeBodies } from './bodies.ts'
import { sumOf } from './samples.ts'

/** What is asked for in one go. */
export interface Proof {
  /** Requests that the asking itself sent, as the router counts them. */
  readonly requests: number
  /** What is missing; empty: the row counts. */
  readonly missing: readonly string[]
}

/** Limits that must stand, in ms, and how many failures open a breaker. */
const LIMITS = ['connectTimeout', 'firstTokenTimeout', 'idleTimeout', 'breakerFailures', 'breakerOpen']
/** Policies that go by what workers hold of prompts. */
const WITH_TREE = ['least_cost', 'cache_aware']

/** Asks a router that runs with a policy. Never throws: one that does not answer misses everything. */
export async function prove(place: { readonly port: number }, policy: string): Promise<Proof> {
  const missing: string[] = []
  const need = (isThere: boolean, what: string) => void (isThere || missing.push(what))
  let requests = 0
  try {
    const base = `http://127.0.0.1:${place.port}`
    const answer = await chat(base)
    requests++
    need(answer.status === 200, `chat answered ${answer.status}`)
    need(answer.headers.has('x-request-id'), 'answers have no request id')
    need(await isExplained(base, answer.headers.get('x-fetchway-decision')), 'a decision id does not explain')
    const config = (await (await fetch(`${base}/fetchway/v1/config`)).json()) as Record<string, unknown>
    for (const name of LIMITS) need(Number(config[name]) > 0, `${name} is off`)
    need(config['policy'] === policy, `the policy is ${String(config['policy'])}`)
    const metrics = await (await fetch(`${base}/metrics`)).text()
    if (WITH_TREE.includes(policy))
      need(sumOf(metrics, 'fetchway_index_bytes') > 0, 'the tree holds no bytes')
    need(sumOf(metrics, 'fetchway_request_duration_seconds_count') > 0, 'durations are not measured')
  } catch (error) {
    missing.push(String(error))
  }
  return { requests, missing }
}

async function chat(base: string): Promise<Response> {
  const bodies = makeBodies(columns[0]!)
  const body = Buffer.alloc(bodies.bytes)
  bodies.write(body)
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${base}/v1/chat/completions`, { method: 'POST', headers, body })
  await answer.arrayBuffer()
  return answer
}

/** Whether the decision tells who was chosen, and out of whom. */
async function isExplained(base: string, id: string | null): Promise<boolean> {
  if (id === null) return false
  const answer = await fetch(`${base}/fetchway/v1/decisions/${id}`)
  if (answer.status !== 200) return false
  const told = (await answer.json()) as { worker?: unknown; candidates?: readonly unknown[] }
  return typeof told.worker === 'string' && (told.candidates?.length ?? 0) > 0
}
