// Engines that sleep: told to, woken, and asked; one that sleeps gets no calls.
import type { Core } from '../../core.ts'
import { askWorker, type Asked } from '../../discovery/ask.ts'
import { answer } from '../python/fastapi.ts'
import { throughDoor } from '../gateway/doors.ts'
import { failure } from './answers.ts'
import { engineOf, type Engine } from './engines.ts'

/** An engine that moves its weights takes its time, ms. */
export const PATIENCE = 120_000

/** `POST /sleep?id=E`. */
export const sleep = (core: Core, request: Request): Promise<Response> =>
  throughDoor(core, request, false, () => change(core, request, true))

/** `POST /wake_up?id=E`. */
export const wakeUp = (core: Core, request: Request): Promise<Response> =>
  throughDoor(core, request, false, () => change(core, request, false))

/** `GET /is_sleeping?id=E`: what the engine says. */
export async function isSleeping(core: Core, request: Request): Promise<Response> {
  const found = await find(core, request)
  if (found instanceof Response) return found
  const asked = await askWorker(core.host, found.engine.ref, {
    method: 'GET',
    path: `/is_sleeping${found.query}`,
    timeout: PATIENCE,
  })
  return isGood(asked) ? answer(parsed(asked.text)) : failed(asked)
}

/** No call goes to one that falls asleep, and calls go to one that is awake again. */
async function change(core: Core, request: Request, isAsleep: boolean): Promise<Response> {
  const found = await find(core, request)
  if (found instanceof Response) return found
  const { engine, query } = found
  const registry = core.host.registry('main')
  if (isAsleep) await registry.patch(engine.id, { draining: true })
  const path = `${isAsleep ? '/sleep' : '/wake_up'}${query}`
  const asked = await askWorker(core.host, engine.ref, { method: 'POST', path, timeout: PATIENCE })
  const isChanged = isGood(asked)
  if (isAsleep !== isChanged) await registry.patch(engine.id, { draining: false })
  return isChanged ? answer({ status: 'success' }) : failed(asked)
}

interface Found {
  readonly engine: Engine
  /** What the engine is asked besides, with its question mark; '': nothing. */
  readonly query: string
}

async function find(core: Core, request: Request): Promise<Found | Response> {
  const query = new URL(request.url).searchParams
  const id = query.get('id')
  if (!id) return failure('Invalid request: missing target Engine Id.', 400)
  const engine = await engineOf(core, id)
  if (!engine) return failure(`Engine with Id ${id} not found.`, 400)
  query.delete('id')
  return { engine, query: query.size > 0 ? `?${query}` : '' }
}

type Reply = Extract<Asked, { text: string }>

export const isGood = (asked: Asked): asked is Reply => asked.status >= 200 && asked.status <= 299

function failed(asked: Asked): Response {
  if (!('text' in asked)) return failure('The engine could not be reached.', 502)
  return failure(`The engine answered ${asked.status}.`, asked.status >= 400 ? asked.status : 502)
}

/** What a text says as JSON, else the text. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // vLLM's own answers are JSON; another one is passed as a text.
    return text
  }
}
