// A registry with a clock of our own, workers whose answers are scripted, and a pool that only notes the hints.
import type { ActorState, Storage } from '../../src/actors/actor.ts'
import { memoryStorage } from '../../src/actors/local.ts'
import { Registry } from '../../src/actors/registry.ts'
import { configSchema, workerSchema, type ConfigInput, type WorkerSpec } from '../../src/config/schema.ts'
import {
  UpstreamFailure,
  type LogEvent,
  type Outgoing,
  type Outside,
  type Upstream,
  type WorkerRef,
} from '../../src/host.ts'
import { allParts } from '../../src/parts.ts'
import { createClock, settle, type Clock } from '../_clock.ts'

/** What a worker says: refuses connections, never answers, has no model list (404), or its models with their owner. */
export type Script =
  | 'refused'
  | 'silent'
  | 'bare'
  | { readonly models: readonly string[]; readonly owner?: string }

export interface RegistryRig {
  readonly registry: Registry
  readonly clock: Clock
  /** By origin. */
  readonly scripts: Map<string, Script>
  /** Times at which a worker's models were asked for, ms since the start. */
  readonly asked: Map<string, number[]>
  /** Headers of the last question to a worker. */
  readonly headers: Map<string, readonly string[]>
  /** Versions that the pool was told of. */
  readonly hints: number[]
  readonly logs: LogEvent[]
  readonly storage: Storage
  start(): Promise<void>
}

export interface RigOptions {
  readonly storage?: Storage
  /** The pool can't be reached. */
  readonly isPoolDead?: boolean
  /** How workers are found that nobody named. */
  readonly outside?: Outside
}

export function registryRig(
  config: ConfigInput,
  scripts: Record<string, Script> = {},
  { storage = memoryStorage(), isPoolDead = false, outside }: RigOptions = {},
): RegistryRig {
  const clock = createClock()
  const start = clock.now()
  const book = new Map(Object.entries(scripts))
  const asked = new Map<string, number[]>()
  const headers = new Map<string, readonly string[]>()
  const hints: number[] = []
  const logs: LogEvent[] = []
  const pool = {
    hint: (version: number) => {
      hints.push(version)
      return isPoolDead ? Promise.reject(new Error('the pool is gone')) : undefined
    },
  }
  let cancel = () => {}
  const state = {
    name: 'main',
    storage,
    now: clock.now,
    random: () => 0,
    log: (event: LogEvent) => void logs.push(event),
    timer: clock.timer,
    ...(outside && { outside }),
    parts: allParts,
    after: (work: Promise<unknown>) =>
      void work.catch((error: unknown) => logs.push({ level: 'error', message: String(error) })),
    fetch: (worker: WorkerRef, outgoing: Outgoing) => {
      headers.set(worker.url, outgoing.headers)
      if (outgoing.path === '/v1/models')
        asked.set(worker.url, [...(asked.get(worker.url) ?? []), clock.now() - start])
      return answer(book.get(worker.url) ?? 'refused', outgoing)
    },
    pool: () => pool,
    setAlarm(at: number) {
      cancel()
      cancel = clock.timer(Math.max(0, at - clock.now()), () => void registry.alarm())
    },
  } as unknown as ActorState
  const registry = new Registry(configSchema.parse(config), state)
  const begin = async () => {
    await registry.start()
    await clock.advance(0)
  }
  return { registry, clock, scripts: book, asked, headers, hints, logs, storage, start: begin }
}

async function answer(script: Script, { path, signal }: Outgoing): Promise<Upstream> {
  if (script === 'refused') throw new UpstreamFailure('connect', 'refused')
  if (script === 'silent') {
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new UpstreamFailure('aborted', 'late')))
    })
  }
  const isList = path === '/v1/models' && typeof script === 'object'
  const owner = isList ? (script.owner ?? 'vllm') : ''
  const data = isList ? script.models.map((id) => ({ id, object: 'model', owned_by: owner })) : []
  const bytes = new TextEncoder().encode(isList ? JSON.stringify({ object: 'list', data }) : 'Not Found')
  return {
    status: isList ? 200 : 404,
    headers: ['content-type', 'application/json'],
    first: () => Promise.resolve(bytes),
    bytes: () => Promise.resolve(bytes),
    cancel() {},
  }
}

export const spec = (url: string, more: Partial<WorkerSpec> = {}): WorkerSpec => ({
  ...workerSchema.parse({ url }),
  ...more,
})

/** Whether a promise is still pending when all that is ready has run. */
export async function isPending(promise: unknown): Promise<boolean> {
  let isDone = false
  void Promise.resolve(promise).then(() => (isDone = true))
  await settle()
  return !isDone
}
