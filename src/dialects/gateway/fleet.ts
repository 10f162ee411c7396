// The workers as the Rust routers show them: what the registry and the pool know, in their words.
import type { Member, WorkerView } from '../../actors/members.ts'
import type { SeatView } from '../../actors/seat.ts'
import type { Core } from '../../core.ts'
import { hashText } from '../../hash.ts'
import type { WorkerRef } from '../../host.ts'

export interface Backend {
  readonly id: string
  /** The same for the same URL, in the shape of a UUID. */
  readonly uuid: string
  /** `url@rank` where it is a rank. */
  readonly url: string
  readonly ref: WorkerRef
  readonly role: 'regular' | 'prefill' | 'decode'
  readonly model: string
  /** It said what it is, and its probes pass. */
  readonly isHealthy: boolean
  readonly isKnown: boolean
  readonly isOpen: boolean
  readonly load: number
  readonly seat: SeatView | undefined
  readonly labels: Readonly<Record<string, string>>
}

const ROLES = { mixed: 'regular', prefill: 'prefill', decode: 'decode' } as const

/** All workers, in the order in which they came. */
export async function fleetOf({ host }: Core): Promise<Backend[]> {
  const registry = host.registry('main')
  const [views, membership, pool] = await Promise.all([
    registry.list(),
    registry.members(0),
    host.pool('main').view(),
  ])
  const refs = new Map((membership?.members ?? []).map((member) => [member.ref.id, member]))
  const seats = new Map(pool.workers.map((seat) => [seat.id, seat]))
  return views.flatMap((view) => {
    const member = refs.get(view.id)
    return member ? [backendOf(view, member, seats.get(view.id))] : []
  })
}

function backendOf(view: WorkerView, { ref }: Member, seat: SeatView | undefined): Backend {
  const { url } = view
  const isUp = seat !== undefined && (seat.state === 'up' || seat.state === 'busy')
  return {
    id: view.id,
    uuid: uuidOf(url),
    url,
    ref,
    role: ROLES[view.role],
    model: view.models[0] ?? 'unknown',
    isHealthy: view.known && isUp && !view.draining,
    isKnown: view.known,
    isOpen: seat?.breaker === 'open',
    load: seat?.in_flight ?? 0,
    seat,
    labels: view.labels,
  }
}

/** A UUID (version 8, RFC 9562) made of a text: a router that starts anew knows its workers by the same ones. */
export function uuidOf(text: string): string {
  const part = (seed: number) => hashText(text, seed).toString(16).padStart(14, '0').slice(-11)
  const hex = part(1) + part(2) + part(3)
  const variant = ((parseInt(hex[16] as string, 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Base URL without a rank. */
export const baseOf = (url: string): string => url.replace(/@\d+$/, '')

/** A worker that can take calls that are for any: the first healthy one, of the prefill ones where there are pairs. */
export function firstHealthy(backends: readonly Backend[]): Backend | undefined {
  const healthy = backends.filter(({ isHealthy, isOpen }) => isHealthy && !isOpen)
  return healthy.find(({ role }) => role !== 'decode') ?? healthy[0]
}
