// A node as DLRouter and LMDeploy's proxy show and take it: its status object, by URL.
import { workerSchema, type WorkerSpec } from '../../config/schema.ts'
import type { WorkerView } from '../../actors/members.ts'
import type { SeatView } from '../../actors/seat.ts'
import { Float } from '../python/text.ts'

/** As both programs number them. */
const ROLES = { mixed: 1, prefill: 2, decode: 3 } as const
const NAMES: Readonly<Record<string, WorkerSpec['role']>> = {
  1: 'mixed',
  2: 'prefill',
  3: 'decode',
  hybrid: 'mixed',
  mixed: 'mixed',
  prefill: 'prefill',
  decode: 'decode',
}

export interface NodeStatus {
  readonly role: 1 | 2 | 3
  readonly models: readonly string[]
  readonly zmq_address: string | null
  readonly unfinished: number
  /** Of its last good answers, seconds. */
  readonly latency: readonly Float[]
  readonly speed: Float | null
}

/** Label of a worker that keeps a speed that it was given. */
const SPEED = 'speed'

/** What a status may say. */
export interface GivenStatus {
  readonly role?: unknown
  readonly models?: unknown
  readonly speed?: unknown
  readonly zmq_address?: unknown
  readonly unfinished?: unknown
  readonly latency?: unknown
}

/** The role of a number or a name; null: there is none such. */
export function roleOf(given: unknown): WorkerSpec['role'] | null {
  if (given === undefined || given === null) return 'mixed'
  return NAMES[String(given as string | number).toLowerCase()] ?? null
}

/** `url@rank` without its rank: a server is added as a whole. */
export const baseOf = (url: string): string => url.replace(/@\d+$/, '')

/** A worker for a URL and its status; null when the URL is none. */
export function specOf(url: string, status: GivenStatus, ranks?: number): WorkerSpec | null {
  const { models, speed, zmq_address: zmq } = status
  const names = Array.isArray(models) ? models.filter((name) => typeof name === 'string') : []
  const isFast = typeof speed === 'number' && speed > 0
  const parsed = workerSchema.safeParse({
    url: baseOf(url),
    role: roleOf(status.role) ?? 'mixed',
    ...(names.length > 0 && { models: names }),
    ...(isFast && { weight: speed }),
    ...(ranks !== undefined && ranks > 1 && { ranks }),
    ...pastOf(status),
    ...(typeof zmq === 'string' && zmq !== '' && { kvAddress: zmq.replace(/^tcp:\/\//, '') }),
    labels: isFast ? { [SPEED]: String(speed) } : {},
  })
  return parsed.success ? parsed.data : null
}

/** The calls and times that a status brings along. */
function pastOf({ unfinished, latency }: GivenStatus): Pick<WorkerSpec, 'past'> {
  const calls = typeof unfinished === 'number' ? Math.max(0, Math.trunc(unfinished)) : 0
  const times = (Array.isArray(latency) ? latency : []).filter((time) => Number(time) > 0).map(Number)
  return calls > 0 || times.length > 0 ? { past: { calls, times } } : {}
}

/** The speed that a worker was given; null: none. */
export const speedOf = ({ labels }: Pick<WorkerSpec, 'labels'>): number | null =>
  labels[SPEED] === undefined ? null : Number(labels[SPEED])

/** The status of a worker. `seat`: what its pool knows; undefined before that has it. */
export function statusOf(
  worker: Pick<WorkerView, 'role' | 'models' | 'labels'> & Pick<WorkerSpec, 'kvAddress' | 'past'>,
  seat?: Pick<SeatView, 'in_flight' | 'recent_ms'>,
): NodeStatus {
  const speed = speedOf(worker)
  return {
    role: ROLES[worker.role],
    models: worker.models,
    zmq_address: worker.kvAddress ?? null,
    unfinished: seat?.in_flight ?? 0,
    latency: (seat ? seat.recent_ms.map((ms) => ms / 1000) : (worker.past?.times ?? [])).map(
      (seconds) => new Float(seconds),
    ),
    speed: speed === null ? null : new Float(speed),
  }
}
