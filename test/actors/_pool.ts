// A pool with members of our choosing, a clock of our own and workers whose health is a switch.
import { Pool } from '../../src/actors/pool.ts'
import type { ActorState } from '../../src/actors/actor.ts'
import type { Ask, Pick, Plan } from '../../src/actors/ask.ts'
import { memoryStorage } from '../../src/actors/local.ts'
import type { Member } from '../../src/actors/members.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { UpstreamFailure, type LogEvent, type Outgoing, type WorkerRef } from '../../src/host.ts'
import { createClock, type Clock } from '../_clock.ts'

export type Health = 'up' | 'refused' | 'silent' | number

export interface Rig {
  readonly pool: Pool
  readonly clock: Clock
  /** Sets what /health of a worker does. */
  readonly health: Map<string, Health>
  readonly probed: string[]
  /** What /metrics of a worker tells; 404 where nothing is set. */
  readonly metrics: Map<string, string>
  readonly logged: LogEvent[]
  /** Replaces the membership and tells the pool. */
  join(...members: Member[]): Promise<void>
}

export function member(id: string, change: Partial<Member> = {}): Member {
  const ref = { id, url: `http://${id}`, engine: 'vllm' }
  return {
    ref,
    role: 'mixed',
    weight: 1,
    models: ['m'],
    draining: false,
    maxInFlight: null,
    kvCapacityTokens: null,
    ...change,
  }
}

/** Chance in a pool: none, unless a test sets it. */
export const chance = { next: (): number => 0 }

export async function rig(config: ConfigInput, ...members: Member[]): Promise<Rig> {
  const clock = createClock()
  const health = new Map<string, Health>()
  const probed: string[] = []
  const metrics = new Map<string, string>()
  const logged: LogEvent[] = []
  let version = 0
  let current: Member[] = []
  const registry = {
    members: (since: number) => (since === version ? null : { version, members: current }),
    refresh() {},
  }
  const state = {
    name: 'main',
    storage: memoryStorage(),
    now: clock.now,
    random: () => chance.next(),
    log: (event: LogEvent) => logged.push(event),
    timer: clock.timer,
    after: (work: Promise<unknown>) => void work,
    fetch: (worker: WorkerRef, outgoing: Outgoing) => {
      if (outgoing.path !== '/health') return page(metrics.get(worker.id))
      probed.push(worker.id)
      return answer(health.get(worker.id) ?? 'up', outgoing.signal as AbortSignal)
    },
    registry: () => registry,
    pool: () => {
      throw new Error('not needed')
    },
    setAlarm: (() => {
      let cancel = () => {}
      return (at: number) => {
        cancel()
        cancel = clock.timer(Math.max(0, at - clock.now()), () => void pool.alarm())
      }
    })(),
  } as unknown as ActorState
  // By default equals go in turn: what is looked at is the pool, not the choice.
  const pool = new Pool(configSchema.parse({ policy: 'least_load', ...config }), state)
  const join = async (...next: Member[]) => {
    current = next
    void pool.hint(++version)
    await clock.advance(0)
  }
  await join(...members)
  return { pool, clock, health, probed, metrics, logged, join }
}

async function page(text = '') {
  const bytes = new TextEncoder().encode(text)
  return { status: text === '' ? 404 : 200, headers: [], bytes: async () => bytes }
}

async function answer(health: Health, signal: AbortSignal) {
  if (health === 'refused') throw new UpstreamFailure('connect', 'refused')
  if (health === 'silent') {
    await new Promise((_, reject) =>
      signal.addEventListener('abort', () => reject(new UpstreamFailure('aborted', 'late'))),
    )
  }
  return { status: health === 'up' ? 200 : health, headers: [], bytes: async () => new Uint8Array(0) }
}

let serial = 0

export function ask(change: Partial<Ask> = {}): Ask {
  return {
    id: `d-${serial++}`,
    model: 'm',
    prefix: null,
    promptBytes: 0,
    tokens: 100,
    session: null,
    priority: 0,
    tenant: 'default',
    stream: true,
    queueUntil: Infinity,
    engines: null,
    pin: null,
    makesState: false,
    ...change,
  }
}

/** The plan of a pick that must be one. */
export async function planOf(pick: Pick | Promise<Pick>): Promise<Plan> {
  const picked = await pick
  if ('refusal' in picked) throw new Error(`refused: ${picked.refusal.code}: ${picked.refusal.message}`)
  return picked.plan
}

export async function refusalOf(pick: Pick | Promise<Pick>) {
  const picked = await pick
  if ('plan' in picked) throw new Error(`went to ${picked.plan.worker.id}`)
  return picked.refusal
}
